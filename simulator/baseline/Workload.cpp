//===- Workload.cpp - A network as a list of GPU kernels ------------------===//

#include "simulator/baseline/Workload.h"

#include "runtime/ops/Registry.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

#include <algorithm>
#include <map>

using namespace llvm;

namespace npucc {

namespace {

enum class Role { View, PartialView, Pointwise, Reduction, Contraction, Other };

Role roleOf(const Node &node, int64_t macs) {
  static const StringSet<> kViews = {"Reshape",  "Flatten", "Squeeze", "Unsqueeze",
                                     "Identity", "Dropout", "Expand"};
  static const StringSet<> kPartialViews = {"Slice", "Split", "Concat", "Shape", "Size"};
  static const StringSet<> kReductions = {"Softmax",
                                          "LogSoftmax",
                                          "LayerNormalization",
                                          "SimplifiedLayerNormalization",
                                          "GroupNormalization",
                                          "InstanceNormalization",
                                          "RMSNormalization",
                                          "LpNormalization"};
  static const StringSet<> kSeparate = {"MaxPool",
                                        "AveragePool",
                                        "GlobalAveragePool",
                                        "GlobalMaxPool",
                                        "LpPool",
                                        "LRN",
                                        "Gather",
                                        "GatherElements",
                                        "GatherND",
                                        "ScatterND",
                                        "ScatterElements",
                                        "TopK",
                                        "ArgMax",
                                        "ArgMin",
                                        "Resize",
                                        "GridSample",
                                        "CumSum",
                                        "NonZero",
                                        "NonMaxSuppression",
                                        "Loop",
                                        "If",
                                        "Scan",
                                        "OneHot",
                                        "RoiAlign"};
  if (macs > 0)
    return Role::Contraction;
  if (kViews.contains(node.opType))
    return Role::View;
  if (kPartialViews.contains(node.opType))
    return Role::PartialView;
  if (kReductions.contains(node.opType) || StringRef(node.opType).starts_with("Reduce"))
    return Role::Reduction;
  if (kSeparate.contains(node.opType))
    return Role::Other;
  return Role::Pointwise;
}

/// Instructions that an element takes.
double opsPerElement(StringRef op) {
  static const StringSet<> kTranscendental = {"Gelu", "Erf", "Tanh",     "Sigmoid",  "Exp",  "Log",
                                              "Mish", "Elu", "Selu",     "Swish",    "SiLU", "Pow",
                                              "Sin",  "Cos", "Softplus", "HardSwish"};
  // Softmax within attention keeps its rows in registers; one that stands alone is a
  // RowReduction and reads them three times.
  constexpr double kSoftmax = 24, kFunction = 12, kSimple = 4; // address, convert, compute
  if (op == "Softmax")
    return kSoftmax;
  return kTranscendental.contains(op) ? kFunction : kSimple;
}

class Lowering {
public:
  Lowering(const Graph &graph, double bytesPerElement)
      : graph(graph), elementBytes(bytesPerElement), origin(graph.values.size()),
        producer(graph.values.size(), kOutside), isConstant(graph.values.size(), false),
        rectified(graph.values.size(), false) {
    for (size_t i = 0; i < origin.size(); ++i)
      origin[i] = static_cast<ValueId>(i);
    for (const auto &[id, tensor] : graph.constants)
      if (valid(id))
        isConstant[static_cast<size_t>(id)] = true;
  }

  GpuWorkload run() {
    for (const Node &node : graph.nodes)
      place(node);
    for (ValueId id : graph.outputs)
      if (valid(id))
        escaping.push_back(rootOf(id));
    traffic();
    // Caches are inputs and, longer by what is new, outputs; they are updated in place.
    auto all = [&](const std::vector<ValueId> &ids) {
      double sum = 0;
      for (ValueId id : ids)
        sum += valid(id) && !isConstant[static_cast<size_t>(id)] ? bytes(id) : 0;
      return sum;
    };
    workload.boundaryBytes = std::max(all(graph.inputs), all(graph.outputs));
    return std::move(workload);
  }

private:
  static constexpr int kOutside = -1; ///< inputs of the graph, constants
  const Graph &graph;
  double elementBytes;
  GpuWorkload workload;
  std::vector<ValueId> origin; ///< what a view looks at
  std::vector<int> producer;   ///< kernel that makes a value
  std::vector<bool> isConstant;
  std::vector<bool> rectified;       ///< about half of the value are zeros
  std::map<ValueId, int> productsOf; ///< kernel of the first product with weights, by input
  struct Use {
    ValueId value;
    int kernel;
  };
  std::vector<Use> uses;
  std::vector<ValueId> escaping; ///< written whoever reads them
  struct Flags {
    bool contraction = false, batched = false, softmax = false;
  };
  std::vector<Flags> flags; ///< by kernel

  bool valid(ValueId id) const { return id >= 0 && static_cast<size_t>(id) < graph.values.size(); }
  ValueId rootOf(ValueId id) const { return origin[static_cast<size_t>(id)]; }
  const Value &value(ValueId id) const { return graph.values[static_cast<size_t>(id)]; }

  double elements(ValueId id) const {
    double count = 1;
    if (value(id).dims)
      for (const Dim &dim : *value(id).dims)
        count *= double(std::max<int64_t>(dim.size, 1));
    return count;
  }
  double bytes(ValueId id) const {
    ElementType type = value(id).type;
    // 64-bit integers are indices and shapes; the data of a network is what its floats become.
    double each = isFloat(type) ? elementBytes : double(bitWidth(type)) / 8;
    return elements(id) * each;
  }

  int64_t macsOf(const Node &node) const {
    const OpInfo *info = findOp(node.domain, node.opType);
    if (!info || !info->macs)
      return 0;
    SmallVector<const Value *, 8> inputs, outputs;
    for (ValueId id : node.inputs) {
      inputs.push_back(valid(id) ? &value(id) : nullptr);
      if (inputs.back() && !inputs.back()->isStatic())
        return 0;
    }
    for (ValueId id : node.outputs) {
      outputs.push_back(valid(id) ? &value(id) : nullptr);
      if (outputs.back() && !outputs.back()->isStatic())
        return 0;
    }
    return info->macs(node, inputs, outputs);
  }

  int newKernel(const Node &node) {
    workload.kernels.push_back({});
    workload.kernels.back().node = node.name;
    workload.kernels.back().op = node.opType;
    flags.push_back({});
    return static_cast<int>(workload.kernels.size()) - 1;
  }

  void place(const Node &node) {
    bool allConstant = true;
    int latest = kOutside;
    for (ValueId id : node.inputs) {
      if (!valid(id))
        continue;
      allConstant &= isConstant[static_cast<size_t>(id)];
      latest = std::max(latest, producer[static_cast<size_t>(rootOf(id))]);
    }
    // Made once, before the first inference.
    if (allConstant) {
      for (ValueId id : node.outputs)
        if (valid(id))
          isConstant[static_cast<size_t>(id)] = true;
      return;
    }
    markRectified(node);
    int64_t macs = macsOf(node);
    Role role = roleOf(node, macs);
    if (role == Role::View || role == Role::PartialView) {
      view(node, role, latest);
      return;
    }

    if (subgraph(node))
      return;
    int kernel = role == Role::Contraction ? widen(node, macs) : kOutside;
    bool widened = kernel != kOutside;
    if (!widened)
      kernel = choose(node, role, latest);
    GpuKernel &work = workload.kernels[static_cast<size_t>(kernel)];
    Flags &flag = flags[static_cast<size_t>(kernel)];
    if (role == Role::Contraction && !widened)
      work.contractions.push_back(contraction(node, macs));
    else if (widened)
      work.contractions.back().n += contraction(node, macs).n;
    else if (flag.batched)
      work.scoreOps += vectorOps(node);
    else
      work.vectorOps += vectorOps(node);
    flag.contraction |= role == Role::Contraction;
    flag.batched |= role == Role::Contraction && work.contractions.back().batchInGroups;
    flag.softmax |= node.opType == "Softmax";
    for (ValueId id : node.inputs)
      if (valid(id))
        uses.push_back({rootOf(id), kernel});
    for (ValueId id : node.outputs)
      if (valid(id))
        producer[static_cast<size_t>(id)] = kernel;
  }

  void markRectified(const Node &node) {
    static const StringSet<> kPassing = {"MaxPool", "QuantizeLinear", "DequantizeLinear", "Reshape",
                                         "Flatten", "Transpose",      "Squeeze",          "Concat"};
    bool zeros = node.opType == "Relu" || node.opType == "Clip";
    if (kPassing.contains(node.opType) && !node.inputs.empty() && valid(node.inputs[0]))
      zeros = rectified[static_cast<size_t>(node.inputs[0])];
    for (ValueId id : node.outputs)
      if (valid(id))
        rectified[static_cast<size_t>(id)] = zeros;
  }

  /// If, Loop, Scan: the branch with the most kernels, once (docs/gpu-baselines.md).
  bool subgraph(const Node &node) {
    GpuWorkload largest;
    bool found = false;
    for (const auto &[name, attribute] : node.attributes) {
      const auto *inner = std::get_if<std::shared_ptr<Graph>>(&attribute.value);
      if (!inner || !*inner)
        continue;
      found = true;
      Lowering lowering(**inner, elementBytes);
      for (auto [innerId, outerId] : (*inner)->captures)
        if (lowering.valid(innerId) && valid(outerId))
          lowering.isConstant[static_cast<size_t>(innerId)] =
              isConstant[static_cast<size_t>(outerId)];
      GpuWorkload work = lowering.run();
      if (work.kernels.size() >= largest.kernels.size())
        largest = std::move(work);
    }
    if (!found)
      return false;
    newKernel(node); // the decision itself
    for (GpuKernel &kernel : largest.kernels) {
      workload.kernels.push_back(std::move(kernel));
      // Nothing joins kernels of another graph.
      flags.push_back({/*contraction=*/true, false, false});
    }
    for (ValueId id : node.outputs)
      if (valid(id))
        producer[static_cast<size_t>(id)] = static_cast<int>(workload.kernels.size()) - 1;
    return true;
  }

  void view(const Node &node, Role role, int latest) {
    for (ValueId out : node.outputs) {
      if (!valid(out))
        continue;
      producer[static_cast<size_t>(out)] = latest;
      if (role == Role::View && valid(node.inputs[0]))
        origin[static_cast<size_t>(out)] = rootOf(node.inputs[0]);
    }
    if (role == Role::PartialView)
      for (ValueId id : node.inputs)
        if (valid(id))
          escaping.push_back(rootOf(id));
  }

  /// Products of one input with several weights (queries, keys and values, say) are one product
  /// with a wider result. The kernel that this one widens, or kOutside.
  int widen(const Node &node, int64_t macs) {
    if ((node.opType != "MatMul" && node.opType != "Gemm") || !valid(node.inputs[0]) ||
        !valid(node.inputs[1]) || !isConstant[static_cast<size_t>(node.inputs[1])])
      return kOutside;
    auto [it, first] =
        productsOf.try_emplace(rootOf(node.inputs[0]), static_cast<int>(workload.kernels.size()));
    if (first)
      return kOutside; // its kernel comes next
    const GpuKernel &before = workload.kernels[static_cast<size_t>(it->second)];
    Contraction now = contraction(node, macs);
    if (before.contractions.size() != 1 || before.contractions[0].k != now.k ||
        before.contractions[0].m != now.m || before.contractions[0].groups != now.groups)
      return kOutside;
    return it->second;
  }

  /// The kernel that a node becomes part of. Always the latest of its inputs' or a new one, so
  /// that kernels stay in order.
  int choose(const Node &node, Role role, int latest) {
    if (latest == kOutside)
      return newKernel(node);
    const Flags &before = flags[static_cast<size_t>(latest)];
    switch (role) {
    case Role::Pointwise:
      return latest;
    case Role::Reduction:
      // A reduction needs whole rows, which the tiles of a matrix product are not; attention's
      // kernels keep rows of scores.
      if (!before.contraction || (node.opType == "Softmax" && before.batched))
        return latest;
      return newKernel(node);
    case Role::Contraction:
      // Scores times values; not the projection with weights that follows.
      if (before.batched && before.softmax && node.opType == "MatMul" && valid(node.inputs[1]) &&
          !isConstant[static_cast<size_t>(node.inputs[1])])
        return latest;
      return newKernel(node);
    default:
      return newKernel(node);
    }
  }

  double vectorOps(const Node &node) const {
    double in = 0, out = 0;
    for (ValueId id : node.inputs)
      if (valid(id) && !isConstant[static_cast<size_t>(id)])
        in = std::max(in, elements(id));
    for (ValueId id : node.outputs)
      if (valid(id))
        out = std::max(out, elements(id));
    double window = 1;
    for (int64_t size : node.getInts("kernel_shape"))
      window *= double(size);
    return std::max(in, out * window) * opsPerElement(node.opType);
  }

  Contraction contraction(const Node &node, int64_t macs) const {
    StringRef op = node.opType;
    Contraction result;
    result.afterRelu = !node.inputs.empty() && valid(node.inputs[0]) &&
                       rectified[static_cast<size_t>(node.inputs[0])];
    double total = double(macs);
    ValueId out = kNoValue;
    for (ValueId id : node.outputs)
      if (valid(id)) {
        out = id;
        break;
      }
    bool quantized = op.starts_with("QLinear");
    size_t weightIndex = quantized ? 3 : 1;
    ValueId weight = weightIndex < node.inputs.size() ? node.inputs[weightIndex] : kNoValue;
    ArrayRef<Dim> shape, weightShape;
    if (valid(out) && value(out).dims)
      shape = *value(out).dims;
    if (valid(weight) && value(weight).dims)
      weightShape = *value(weight).dims;
    auto size = [](const Dim &dim) { return double(std::max<int64_t>(dim.size, 1)); };

    if (op == "LSTM" || op == "GRU" || op == "RNN") {
      // [steps, directions, batch, hidden]; recurrence serialises the steps.
      if (shape.size() == 4) {
        result.steps = size(shape[0]);
        result.groups = size(shape[1]);
        result.m = size(shape[2]);
      }
      double gates = op == "LSTM" ? 4 : op == "GRU" ? 3 : 1;
      result.n = gates * double(std::max<int64_t>(node.getInt("hidden_size", 1), 1));
    } else if (op.contains("ConvTranspose") && weightShape.size() >= 3) {
      // Each input pixel gives a window of outputs: the transpose of a convolution's product.
      result.groups = double(std::max<int64_t>(node.getInt("group", 1), 1));
      result.n = size(weightShape[1]);
      for (const Dim &dim : weightShape.drop_front(2))
        result.n *= size(dim);
      result.k = size(weightShape[0]) / result.groups;
      result.m = total / (result.groups * result.n * result.k);
      return result;
    } else if (op.contains("Conv") && shape.size() >= 3) {
      result.groups = double(std::max<int64_t>(node.getInt("group", 1), 1));
      result.n = size(shape[1]) / result.groups;
      result.m = size(shape[0]);
      for (const Dim &dim : shape.drop_front(2))
        result.m *= size(dim);
    } else if (!shape.empty()) {
      result.n = size(shape.back());
      bool batched =
          valid(weight) && !isConstant[static_cast<size_t>(weight)] && weightShape.size() > 2;
      result.batchInGroups = batched;
      for (const Dim &dim : shape.drop_back())
        (batched ? result.groups : result.m) *= size(dim);
      if (batched && shape.size() >= 2) {
        result.m = size(shape[shape.size() - 2]);
        result.groups /= result.m;
      }
    }
    result.k = std::max(1.0, total / (result.groups * result.m * result.n * result.steps));
    // Fewer channels in a group than a tensor core takes at once: ordinary instructions.
    constexpr double kFewestChannels = 16;
    result.onVector = result.groups > 1 && !result.batchInGroups && op.contains("Conv") &&
                      weightShape.size() >= 2 && size(weightShape[1]) < kFewestChannels;
    return result;
  }

  void traffic() {
    // Each kernel reads a value from outside once, and writes what others read.
    std::vector<std::vector<ValueId>> reads(workload.kernels.size());
    for (const Use &use : uses)
      if (producer[static_cast<size_t>(use.value)] != use.kernel)
        reads[static_cast<size_t>(use.kernel)].push_back(use.value);
    std::vector<bool> written(graph.values.size(), false);
    for (size_t k = 0; k < reads.size(); ++k) {
      llvm::sort(reads[k]);
      reads[k].erase(std::unique(reads[k].begin(), reads[k].end()), reads[k].end());
      GpuKernel &kernel = workload.kernels[k];
      for (ValueId id : reads[k]) {
        if (isConstant[static_cast<size_t>(id)]) {
          kernel.weightBytes += gathered(k) ? 0 : bytes(id);
        } else {
          kernel.activationBytes += bytes(id);
          written[static_cast<size_t>(id)] = true;
        }
      }
    }
    for (ValueId id : escaping)
      written[static_cast<size_t>(id)] = true;
    for (size_t i = 0; i < written.size(); ++i) {
      if (written[i] && producer[i] >= 0) {
        GpuKernel &kernel = workload.kernels[static_cast<size_t>(producer[i])];
        kernel.activationBytes += bytes(static_cast<ValueId>(i));
        kernel.writtenBytes += bytes(static_cast<ValueId>(i));
      }
    }
    for (const GpuKernel &kernel : workload.kernels) {
      workload.weightBytes += kernel.weightBytes;
      workload.largestActivationBytes =
          std::max(workload.largestActivationBytes, kernel.activationBytes);
    }
  }

  /// An embedding table is looked up, not read through.
  bool gathered(size_t kernel) const {
    const GpuKernel &work = workload.kernels[kernel];
    return work.contractions.empty() && StringRef(work.op).starts_with("Gather");
  }
};

} // namespace

GpuWorkload makeWorkload(const Graph &graph, double bytesPerElement) {
  return Lowering(graph, bytesPerElement).run();
}

} // namespace npucc
