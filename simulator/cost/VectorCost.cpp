//===- VectorCost.cpp - Cycles and actions of a SIMD loop nest ----------------===//
//
// Lanes spread over the flattened parallel dimensions. Where those are fewer than the lanes
// and the nest reduces, lanes also share a reduction and an adder tree joins their partial
// results. Conversions on input and saturation on output belong to the ports and are free.
//
// Traffic: an operand is read once per distinct element, since the loop order keeps a
// broadcast value in a register; a window reads each of its overlapping elements. The unit
// may put any dimension innermost, but the same one for all operands: a transposition is
// therefore strided at one end.
//
//===----------------------------------------------------------------------===//

#include "simulator/cost/Access.h"
#include "simulator/cost/Cost.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

namespace npucc {

using cost::AccessDims;
using cost::elementBytes;

namespace {

/// The keys of VectorEngine::opCost.
const char *opName(BodyOp op) {
  switch (op) {
  case BodyOp::Constant:
    return "constant";
  case BodyOp::Input:
    return "input";
  case BodyOp::Index:
    return "index";
  case BodyOp::Add:
    return "add";
  case BodyOp::Sub:
    return "sub";
  case BodyOp::Mul:
    return "mul";
  case BodyOp::Div:
    return "div";
  case BodyOp::Mod:
    return "mod";
  case BodyOp::Max:
    return "max";
  case BodyOp::Min:
    return "min";
  case BodyOp::Neg:
    return "neg";
  case BodyOp::Abs:
    return "abs";
  case BodyOp::Fma:
    return "fma";
  case BodyOp::Equal:
    return "equal";
  case BodyOp::Less:
    return "less";
  case BodyOp::LessEqual:
    return "lessequal";
  case BodyOp::And:
    return "and";
  case BodyOp::Or:
    return "or";
  case BodyOp::Xor:
    return "xor";
  case BodyOp::Not:
    return "not";
  case BodyOp::Select:
    return "select";
  case BodyOp::Floor:
    return "floor";
  case BodyOp::Ceil:
    return "ceil";
  case BodyOp::Round:
    return "round";
  case BodyOp::Exp:
    return "exp";
  case BodyOp::Log:
    return "log";
  case BodyOp::Sqrt:
    return "sqrt";
  case BodyOp::Rsqrt:
    return "rsqrt";
  case BodyOp::Reciprocal:
    return "reciprocal";
  case BodyOp::Tanh:
    return "tanh";
  case BodyOp::Erf:
    return "erf";
  case BodyOp::Sin:
    return "sin";
  case BodyOp::Cos:
    return "cos";
  case BodyOp::Pow:
    return "pow";
  case BodyOp::Sigmoid:
    return "sigmoid";
  case BodyOp::ToFloat:
    return "tofloat";
  case BodyOp::ToInt:
    return "toint";
  case BodyOp::RoundTo:
    return "roundto";
  case BodyOp::Wrap:
    return "wrap";
  case BodyOp::Lookup:
    return "lookup";
  }
  return "";
}

/// Port bytes of one operand with dimension `inner` innermost.
double portBytes(const Operand &operand, llvm::ArrayRef<int64_t> extents, size_t inner,
                 double bytes, double word) {
  double element = elementBytes(operand.type);
  AccessDims dims;
  int64_t stride = operand.strides[inner];
  if (stride != 0 && std::abs(static_cast<double>(stride)) != element) {
    // Strided along the lanes: several elements to a word only while the stride is short.
    dims.add(extents[inner], stride);
  } else {
    for (size_t d = 0; d < extents.size(); ++d)
      dims.add(extents[d], operand.strides[d]);
  }
  return bytes * (word / dims.usefulBytes(element, word));
}

double distinctElements(const Operand &operand, llvm::ArrayRef<int64_t> extents) {
  double count = 1;
  for (size_t d = 0; d < extents.size(); ++d)
    if (operand.strides[d] != 0)
      count *= static_cast<double>(extents[d]);
  return count;
}

} // namespace

double bodyOps(const Body &body, const Machine &machine) {
  double ops = 0;
  const auto &table = machine.vector.opCost;
  for (const BodyInst &inst : body.insts) {
    if (inst.op == BodyOp::Constant || inst.op == BodyOp::Input || inst.op == BodyOp::Index)
      continue;
    double cost = 1;
    if (!table.empty())
      if (auto found = table.find(opName(inst.op)); found != table.end())
        cost = found->second;
    ops += cost;
  }
  return ops;
}

CommandCost vectorCost(const VectorCommand &command, llvm::ArrayRef<int64_t> extents,
                       const Machine &machine) {
  CommandCost cost;
  cost.bound = Bound::Vector;
  cost.actions[Action::ControlCommand] = 1;
  cost.cycles = cost.latencyCycles = cost.workCycles = 1;
  if (llvm::is_contained(extents, 0))
    return cost;

  double points = 1, parallel = 1;
  bool reduces = false, scans = false;
  for (size_t d = 0; d < extents.size(); ++d) {
    points *= static_cast<double>(extents[d]);
    if (!command.dims[d].reduction) {
      parallel *= static_cast<double>(extents[d]);
      continue;
    }
    reduces |= extents[d] > 1;
    // An output that moves along a reduction is a scan: one step after the other.
    for (const Operand &out : command.outputs)
      scans |= out.strides[d] != 0 && extents[d] > 1;
  }
  const auto lanes = static_cast<double>(std::max<int64_t>(machine.vector.lanes, 1));
  const double perLane = std::max(machine.vector.opsPerLanePerCycle, 1e-9);
  const double ops = std::max(bodyOps(command.body, machine), 1.0);
  double groups = std::ceil(parallel / lanes) * (points / parallel);
  double compute = groups * ops / perLane;
  if (reduces && !scans && parallel < lanes) {
    double depth = std::ceil(std::log2(std::min(lanes / parallel, points / parallel)));
    compute = std::min(compute, std::ceil(points / lanes) * ops / perLane + depth);
  }

  const Scratchpad &spm = machine.scratchpad;
  const double readWord = std::max<double>(1, static_cast<double>(spm.readBytesPerCycle) / 2);
  const auto writeWord = static_cast<double>(std::max<int64_t>(spm.writeBytesPerCycle, 1));
  double fixedReadPort = 0, readBytes = 0, writeBytes = 0, accRead = 0, accWrite = 0;
  llvm::SmallVector<std::pair<const Operand *, double>, 4> reads, writes;
  llvm::SmallVector<bool, 4> isTable(command.inputs.size(), false);
  for (const BodyInst &inst : command.body.insts) {
    if (inst.op != BodyOp::Lookup || inst.a < 0 ||
        static_cast<size_t>(inst.a) >= command.inputs.size())
      continue;
    // Each lane's look-up reads its own element: banks serve them without wasted words.
    isTable[inst.a] = true;
    double bytes = points * elementBytes(command.inputs[inst.a].type);
    fixedReadPort += bytes;
    readBytes += bytes;
  }
  for (size_t i = 0; i < command.inputs.size(); ++i) {
    const Operand &input = command.inputs[i];
    if (isTable[i])
      continue;
    double bytes = distinctElements(input, extents) * elementBytes(input.type);
    if (input.address.space == Space::Acc) {
      accRead += bytes; // the accumulators have their own ports
      continue;
    }
    readBytes += bytes;
    reads.push_back({&input, bytes});
  }
  for (const Operand &out : command.outputs) {
    double bytes = distinctElements(out, extents) * elementBytes(out.type);
    bool continues = reduces && !command.clearIf.always; // reads what earlier commands left
    if (out.address.space == Space::Acc) {
      accWrite += bytes;
      accRead += continues ? bytes : 0;
      continue;
    }
    writeBytes += bytes;
    writes.push_back({&out, bytes});
    if (continues) {
      readBytes += bytes;
      reads.push_back({&out, bytes});
    }
  }
  // The best innermost dimension.
  double port = -1;
  for (size_t inner = 0; inner < extents.size(); ++inner) {
    if (extents[inner] == 1)
      continue;
    double readPort = fixedReadPort, writePort = 0;
    for (auto [operand, bytes] : reads)
      readPort += portBytes(*operand, extents, inner, bytes, readWord);
    for (auto [operand, bytes] : writes)
      writePort += portBytes(*operand, extents, inner, bytes, writeWord);
    readPort /= 2 * readWord;
    writePort /= writeWord;
    double cycles = std::max(readPort, writePort);
    if (port >= 0 && port <= cycles)
      continue;
    port = cycles;
    cost.readPortCycles = readPort;
    cost.writePortCycles = writePort;
  }
  if (port < 0) // a single point: one word per operand
    port = std::max(static_cast<double>(reads.size()) / 2, static_cast<double>(writes.size()));

  cost.cycles = static_cast<int64_t>(std::ceil(std::max(compute, port)));
  if (port > compute)
    cost.bound = Bound::Scratchpad;
  cost.workCycles = cost.cycles;
  cost.latencyCycles = cost.cycles + machine.vector.pipelineCycles;
  cost.actions[Action::VectorOp] = points * ops;
  cost.actions[Action::ScratchpadReadByte] = readBytes;
  cost.actions[Action::ScratchpadWriteByte] = writeBytes;
  cost.actions[Action::AccumulatorReadByte] = accRead;
  cost.actions[Action::AccumulatorWriteByte] = accWrite;
  return cost;
}

} // namespace npucc
