//===- HostCost.cpp - Operators on the control core ---------------------------===//
//
// DMA out, an interrupt, scalar work, DMA in: nothing overlaps, since the core starts when
// its inputs have arrived and the results leave when they are all there.
//
// Scalar operations: two per multiply-accumulate where the registry counts those, otherwise
// an operator's factor times the larger of its inputs and outputs. The factors count the
// arithmetic, address and compare instructions of a plain scalar loop.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Registry.h"
#include "simulator/cost/Cost.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>

namespace npucc {

namespace {

double opsPerElement(llvm::StringRef opType) {
  return llvm::StringSwitch<double>(opType)
      // exponentials and divisions: polynomials of about ten terms
      .Cases({"Exp", "Log", "Sqrt", "Tanh", "Sigmoid", "Erf", "Pow", "Softplus", "Mish"}, 12)
      .Cases({"Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Gelu", "Elu"}, 12)
      .Cases({"Softmax", "LogSoftmax", "Hardmax", "ReduceLogSumExp", "ReduceLogSum"}, 16)
      .Cases({"LayerNormalization", "InstanceNormalization", "GroupNormalization", "LRN"}, 10)
      .Cases({"BatchNormalization", "LpNormalization", "MeanVarianceNormalization"}, 6)
      .Cases({"Resize", "Upsample", "RoiAlign", "MaxRoiPool"}, 16)
      .Cases({"GridSample", "AffineGrid", "ImageDecoder"}, 32)
      .Cases({"NonMaxSuppression", "Unique", "StringNormalizer"}, 64)
      .Cases({"Loop", "Scan", "If", "SequenceMap"}, 16)
      .Cases({"RandomNormal", "RandomNormalLike", "Multinomial"}, 20)
      .Cases({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}, 4)
      .Cases({"Div", "Mod", "Round", "Floor", "Ceil", "Cast", "CastLike"}, 2)
      .Default(2); // load, operate, store with address updates on a dual-issue core
}

/// Comparisons per element of operators that sort.
bool sorts(llvm::StringRef opType) {
  return opType == "TopK" || opType == "NonMaxSuppression" || opType == "Unique";
}

double elements(const ProgramTensor *tensor) {
  double count = 1;
  for (int64_t size : tensor->shape)
    count *= static_cast<double>(size);
  return count;
}

double totalBytes(llvm::ArrayRef<const ProgramTensor *> tensors) {
  double bytes = 0;
  for (const ProgramTensor *tensor : tensors)
    if (tensor)
      bytes += std::max(1.0, elements(tensor) * bitWidth(tensor->type) / 8);
  return bytes;
}

double registryMacs(const Node &node, llvm::ArrayRef<const ProgramTensor *> inputs,
                    llvm::ArrayRef<const ProgramTensor *> outputs) {
  const OpInfo *info = findOp(node.domain, node.opType);
  if (!info || !info->macs)
    return 0;
  std::vector<Value> storage(inputs.size() + outputs.size());
  std::vector<const Value *> in, out;
  size_t next = 0;
  auto convert = [&](llvm::ArrayRef<const ProgramTensor *> tensors,
                     std::vector<const Value *> &values) {
    for (const ProgramTensor *tensor : tensors) {
      if (!tensor) {
        values.push_back(nullptr);
        continue;
      }
      Value &value = storage[next++];
      value.name = tensor->name;
      value.type = tensor->type;
      value.dims.emplace();
      for (int64_t size : tensor->shape)
        value.dims->push_back(Dim{size, ""});
      values.push_back(&value);
    }
  };
  convert(inputs, in);
  convert(outputs, out);
  return static_cast<double>(info->macs(node, in, out));
}

} // namespace

CommandCost hostCost(const Node &node, llvm::ArrayRef<const ProgramTensor *> inputs,
                     llvm::ArrayRef<const ProgramTensor *> outputs, const Machine &machine) {
  double inBytes = totalBytes(inputs), outBytes = totalBytes(outputs);
  double inElements = 0, outElements = 0;
  for (const ProgramTensor *tensor : inputs)
    inElements += tensor ? elements(tensor) : 0;
  for (const ProgramTensor *tensor : outputs)
    outElements += tensor ? elements(tensor) : 0;
  double work = std::max({inElements, outElements, 1.0});
  double ops = work * opsPerElement(node.opType);
  if (sorts(node.opType))
    ops += 2 * work * std::log2(work + 1);
  ops = std::max(ops, 2 * registryMacs(node, inputs, outputs));

  const Control &control = machine.control;
  // Core cycles per control-core cycle.
  double ratio = control.clockHz > 0 ? machine.clockHz / control.clockHz : 1;
  double compute = ops / std::max(control.opsPerCycle, 1e-9);
  double memory = (inBytes + outBytes) / std::max(control.bytesPerCycle, 1e-9);
  double dramRate = machine.clockHz > 0 ? machine.dramBytesPerSecond() / machine.clockHz : 0;
  double dmaRate = std::max(1.0, static_cast<double>(machine.dma.bytesPerCycle));
  if (dramRate > 0)
    dmaRate = std::min(dmaRate, dramRate);
  double transfer =
      (inBytes + outBytes) / dmaRate + 2.0 * static_cast<double>(machine.dma.setupCycles);
  double cycles =
      transfer + (static_cast<double>(control.interruptCycles) + std::max(compute, memory)) * ratio;

  CommandCost cost;
  cost.bound = Bound::Host;
  cost.cycles = cost.latencyCycles = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(cycles)));
  cost.actions[Action::ControlCommand] = 1;
  cost.actions[Action::HostOp] = ops;
  cost.actions[Action::HostByte] = inBytes + outBytes;
  cost.actions[Action::DmaByte] = inBytes + outBytes;
  cost.actions[Action::NocByte] = inBytes + outBytes;
  cost.actions[Action::DramReadByte] = inBytes;
  cost.actions[Action::DramWriteByte] = outBytes;
  return cost;
}

} // namespace npucc
