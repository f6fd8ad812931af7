//===- HostCost.cpp - Operators on the control core ---------------------------===//
//
// DMA out, an interrupt, scalar work, DMA in: nothing overlaps, since the core starts when
// its inputs have arrived and the results leave when they are all there.
//
// Scalar operations: two per multiply-accumulate where the registry counts those, otherwise
// an operator's factor times the larger of its inputs and outputs. The factors count the
// arithmetic, address and compare instructions of a plain scalar loop. If, Loop and Scan come
// with the operations of their bodies.
//
// Operators that pick elements by index (an embedding table's rows) read what they pick.
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
      .Cases({"RandomNormal", "RandomNormalLike", "Multinomial"}, 20)
      .Cases({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}, 4)
      .Cases({"Div", "Mod", "Round", "Floor", "Ceil", "Cast", "CastLike"}, 2)
      .Default(2); // load, operate, store with address updates on a dual-issue core
}

/// Comparisons per element of operators that sort.
bool sorts(llvm::StringRef opType) {
  return opType == "TopK" || opType == "NonMaxSuppression" || opType == "Unique";
}

/// Operators whose first input is a table of which each output element reads one.
bool picks(llvm::StringRef opType) {
  return opType == "Gather" || opType == "GatherElements" || opType == "GatherND";
}

double elements(llvm::ArrayRef<int64_t> shape) {
  double count = 1;
  for (int64_t size : shape)
    count *= static_cast<double>(size);
  return count;
}

double totalBytes(llvm::ArrayRef<const ProgramTensor *> tensors) {
  double bytes = 0;
  for (const ProgramTensor *tensor : tensors)
    if (tensor)
      bytes += std::max(1.0, elements(tensor->shape) * bitWidth(tensor->type) / 8);
  return bytes;
}

Value described(ElementType type, llvm::ArrayRef<int64_t> shape) {
  Value value;
  value.type = type;
  value.dims.emplace();
  for (int64_t size : shape)
    value.dims->push_back(Dim{size, ""});
  return value;
}

std::vector<Value> described(llvm::ArrayRef<const ProgramTensor *> tensors) {
  std::vector<Value> values;
  for (const ProgramTensor *tensor : tensors)
    values.push_back(tensor ? described(tensor->type, tensor->shape) : Value());
  return values;
}

std::vector<Value> described(llvm::ArrayRef<Tensor> tensors) {
  std::vector<Value> values;
  for (const Tensor &tensor : tensors)
    values.push_back(tensor.defined() ? described(tensor.type(), tensor.shape()) : Value());
  return values;
}

/// An absent operand has no type.
std::vector<const Value *> pointers(llvm::ArrayRef<Value> values) {
  std::vector<const Value *> result;
  for (const Value &value : values)
    result.push_back(value.type == ElementType::Undefined ? nullptr : &value);
  return result;
}

double elements(llvm::ArrayRef<Value> values) {
  double sum = 0;
  for (const Value &value : values)
    sum += value.isStatic() && value.type != ElementType::Undefined ? elements(value.shape()) : 0;
  return sum;
}

} // namespace

double hostOps(const Node &node, llvm::ArrayRef<Value> inputs, llvm::ArrayRef<Value> outputs) {
  llvm::ArrayRef<Value> read = inputs.drop_front(picks(node.opType) && !inputs.empty() ? 1 : 0);
  double work = std::max({elements(read), elements(outputs), 1.0});
  double ops = work * opsPerElement(node.opType);
  if (sorts(node.opType))
    ops += 2 * work * std::log2(work + 1);
  const OpInfo *info = findOp(node.domain, node.opType);
  auto known = [](const Value &v) { return v.type == ElementType::Undefined || v.isStatic(); };
  if (info && info->macs && llvm::all_of(inputs, known) && llvm::all_of(outputs, known))
    ops = std::max(ops,
                   2 * static_cast<double>(info->macs(node, pointers(inputs), pointers(outputs))));
  return ops;
}

double hostOps(const Node &node, llvm::ArrayRef<Tensor> inputs, llvm::ArrayRef<Tensor> outputs) {
  return hostOps(node, described(inputs), described(outputs));
}

CommandCost hostCost(const Node &node, llvm::ArrayRef<const ProgramTensor *> inputs,
                     llvm::ArrayRef<const ProgramTensor *> outputs, const Machine &machine) {
  double inBytes = totalBytes(inputs), outBytes = totalBytes(outputs);
  if (picks(node.opType) && !inputs.empty())
    inBytes = std::min(totalBytes(inputs.take_front()), outBytes) + totalBytes(inputs.drop_front());
  double ops = hostOps(node, described(inputs), described(outputs)) +
               static_cast<double>(node.getInt(kBodyOpsAttr, 0));

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
  cost.cycles = cost.latencyCycles = cost.workCycles =
      std::max<int64_t>(1, static_cast<int64_t>(std::ceil(cycles)));
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
