//===- Validate.cpp - Structural check of a program -----------------------===//
//
// A program may come from a file that anybody wrote. What passes here can be walked,
// listed, timed and executed without further looks at indices: numbers stay far from
// overflow, lists have the lengths that go together. Where clipping or guards make an
// address depend on more than intervals, the range is checked when the command executes.
//
//===----------------------------------------------------------------------===//

#include "runtime/onnx/Errors.h"
#include "runtime/program/Walk.h"

#include "llvm/ADT/StringExtras.h"

#include <algorithm>

using namespace npucc;

namespace {

/// Sums of a few such numbers and products with element counts stay inside 64 bits.
constexpr int64_t kMaxNumber = int64_t(1) << 48;
constexpr int64_t kMaxBytes = int64_t(1) << 50;
constexpr size_t kMaxDims = 16, kMaxBody = 4096, kMaxRecipeInputs = 1 << 20;

struct Interval {
  int64_t low = 0, high = 0;
};

class Checker {
public:
  Checker(const Program &program, int64_t spmBytes, int64_t accBytes)
      : p(program), spaceBytes{program.dramBytes, spmBytes, accBytes} {}

  std::string run() {
    memories();
    lists();
    if (why.empty())
      for (size_t c = 0; c < p.commands.size() && why.empty(); ++c)
        command(c);
    for (size_t s = 0; s < p.streams.size() && why.empty(); ++s)
      stream(s);
    return why;
  }

private:
  const Program &p;
  int64_t spaceBytes[3];
  std::vector<bool> open; ///< loops around the current instruction
  std::string where, why;

  void fail(const llvm::Twine &reason) {
    if (why.empty())
      why = (where.empty() ? reason : llvm::Twine(where) + ": " + reason).str();
  }
  bool inRange(int64_t index, size_t size) { return index >= 0 && uint64_t(index) < size; }
  void number(int64_t value, const char *what) {
    if (value > kMaxNumber || value < -kMaxNumber)
      fail(llvm::Twine(what) + " " + llvm::Twine(value) + " is out of range");
  }
  void atLeast(int64_t value, int64_t least, const char *what) {
    if (value < least || value > kMaxNumber)
      fail(llvm::Twine(what) + " " + llvm::Twine(value) + " is out of range");
  }

  void memories();
  void lists();
  void tensor(const ProgramTensor &tensor);
  void recipe(size_t index);
  void affine(const Affine &affine);
  Interval range(const Affine &affine);
  void command(size_t index);
  void stream(size_t index);
  void dims(llvm::ArrayRef<LoopDim> dims);
  void dims(llvm::ArrayRef<DmaCommand::Dim> dims);
  void address(const Address &address);
  void type(ElementType type);
  void reach(int64_t extent, int64_t stride);
  void operand(const Operand &operand, llvm::ArrayRef<LoopDim> dims);
  void body(const Body &body, size_t operands, size_t rank, size_t outputs);
  void placed(const Command &command);
  void fits(const Address &address, llvm::ArrayRef<int64_t> extents,
            llvm::ArrayRef<int64_t> strides, ElementType type);
};

void Checker::memories() {
  for (auto [bytes, what] : {std::pair(p.dramBytes, "dram bytes"),
                             {p.spmBytes, "scratchpad bytes"},
                             {p.accBytes, "accumulator bytes"}})
    if (bytes < 0 || bytes > kMaxBytes)
      fail(llvm::Twine(what) + " " + llvm::Twine(bytes) + " is out of range");
  if (p.spmBytes > spaceBytes[1])
    fail("needs " + llvm::Twine(p.spmBytes) + " bytes of scratchpad, the machine has " +
         llvm::Twine(spaceBytes[1]));
  if (p.accBytes > spaceBytes[2])
    fail("needs " + llvm::Twine(p.accBytes) + " bytes of accumulators, the machine has " +
         llvm::Twine(spaceBytes[2]));
}

void Checker::lists() {
  for (const Loop &loop : p.loops)
    atLeast(loop.trips, 1, "loop trip count");
  for (const Ring &ring : p.rings) {
    atLeast(ring.slots, 1, "ring slot count");
    atLeast(ring.slotBytes, 0, "ring slot size");
    if (why.empty() && ring.slotBytes && ring.slots > kMaxNumber / ring.slotBytes)
      fail("a ring is larger than any memory");
  }
  for (const Semaphore &semaphore : p.semaphores)
    atLeast(semaphore.initial, 0, "semaphore count");
  for (const ProgramTensor &t : p.tensors)
    tensor(t);
  for (size_t r = 0; r < p.recipes.size() && why.empty(); ++r)
    recipe(r);
  for (const Layer &layer : p.layers)
    if (layer.foldedInto < -1 || layer.foldedInto >= static_cast<int64_t>(p.layers.size()))
      fail("layer " + quoted(layer.node) + " is folded into a layer that does not exist");
  if (p.streams.size() > 1024)
    fail("more than 1024 streams");
}

void Checker::tensor(const ProgramTensor &tensor) {
  where = "tensor " + quoted(tensor.name);
  type(tensor.type);
  if (tensor.externalType != ElementType::Undefined)
    type(tensor.externalType);
  if (tensor.strides.size() != tensor.shape.size())
    fail("has " + llvm::Twine(tensor.shape.size()) + " dimensions but " +
         llvm::Twine(tensor.strides.size()) + " strides");
  auto count = checkedElementCount(tensor.shape);
  if (!count || *count > kMaxNumber)
    fail("has an impossible shape");
  if (tensor.kind == ProgramTensor::Kind::Constant ? !inRange(tensor.recipe, p.recipes.size())
                                                   : tensor.recipe < -1)
    fail("has no recipe");
  if (tensor.address < 0 || tensor.bytes < 0 || tensor.address > p.dramBytes ||
      tensor.bytes > p.dramBytes - tensor.address)
    fail("lies outside DRAM");
  if (!why.empty())
    return;
  int64_t last = tensor.address;
  for (auto [size, stride] : llvm::zip(tensor.shape, tensor.strides)) {
    atLeast(stride, 0, "stride");
    if (!why.empty() || !*count)
      continue;
    if (stride && size - 1 > kMaxNumber / stride)
      fail("lies outside DRAM");
    else
      last += (size - 1) * stride;
  }
  if (why.empty() && *count && last > p.dramBytes - (bitWidth(tensor.type) + 7) / 8)
    fail("lies outside DRAM");
  where.clear();
}

void Checker::recipe(size_t index) {
  const Recipe &recipe = p.recipes[index];
  if (recipe.data.defined())
    return;
  where = "constant recipe " + std::to_string(index);
  if (recipe.output < 0 || recipe.output > 1024 || recipe.node.inputs.size() > kMaxRecipeInputs)
    fail("is malformed");
  for (ValueId input : recipe.node.inputs) // a recipe uses earlier ones: no cycles
    if (input < -1 || input >= static_cast<int64_t>(index))
      fail("uses recipe " + llvm::Twine(input) + ", which does not stand before it");
  where.clear();
}

void Checker::type(ElementType type) {
  if (!isFloat(type) && !isInteger(type) && type != ElementType::Bool)
    fail("element type " + llvm::Twine(name(type)) + " cannot be computed with");
}

void Checker::affine(const Affine &affine) {
  number(affine.constant, "constant of an address or coordinate");
  if (affine.terms.size() > 64)
    fail("too many terms in an address or coordinate");
  for (const Affine::Term &term : affine.terms) {
    number(term.coefficient, "coefficient");
    if (!inRange(term.loop, p.loops.size()))
      fail("loop " + llvm::Twine(term.loop) + " does not exist");
  }
}

void Checker::dims(llvm::ArrayRef<LoopDim> dims) {
  if (dims.size() > kMaxDims)
    fail("more than 16 loop dimensions");
  int64_t points = 1;
  for (const LoopDim &dim : dims) {
    atLeast(dim.extent, 1, "extent");
    number(dim.bound, "bound");
    if (why.empty() && dim.extent > kMaxNumber / points)
      fail("too many points");
    if (why.empty())
      points *= dim.extent;
  }
}

void Checker::dims(llvm::ArrayRef<DmaCommand::Dim> dims) {
  if (dims.size() > kMaxDims)
    fail("more than 16 dimensions");
  int64_t points = 1;
  for (const DmaCommand::Dim &dim : dims) {
    atLeast(dim.extent, 1, "extent");
    number(dim.bound, "bound");
    for (int64_t stride : {dim.sourceStride, dim.targetStride, dim.step})
      reach(dim.extent, stride);
    if (dim.clipped && dim.step == 0)
      fail("a clipped dimension has step 0");
    if (why.empty() && dim.extent > kMaxNumber / points)
      fail("too many elements");
    if (why.empty())
      points *= dim.extent;
  }
}

void Checker::address(const Address &address) {
  if (address.ring < -1 || address.ring >= static_cast<int64_t>(p.rings.size()))
    fail("ring " + llvm::Twine(address.ring) + " does not exist");
}

/// The distance from the first to the last of `extent` steps must be a sane number.
void Checker::reach(int64_t extent, int64_t stride) {
  int64_t bytes;
  if (__builtin_mul_overflow(extent - 1, stride, &bytes) || bytes > kMaxBytes || bytes < -kMaxBytes)
    fail("stride " + llvm::Twine(stride) + " over " + llvm::Twine(extent) + " steps overflows");
}

void Checker::operand(const Operand &operand, llvm::ArrayRef<LoopDim> dims) {
  size_t rank = dims.size();
  address(operand.address);
  type(operand.type);
  if (operand.strides.size() != rank)
    fail("an operand has " + llvm::Twine(operand.strides.size()) + " strides for " +
         llvm::Twine(rank) + " loop dimensions");
  if (!why.empty())
    return;
  for (size_t d = 0; d < rank; ++d)
    reach(dims[d].extent, operand.strides[d]);
  if (operand.guards.size() > kMaxDims)
    fail("too many guards");
  for (const Guard &guard : operand.guards) {
    atLeast(guard.bound, 0, "guard bound");
    if (guard.coefficients.size() != rank)
      fail("a guard has " + llvm::Twine(guard.coefficients.size()) + " coefficients for " +
           llvm::Twine(rank) + " loop dimensions");
    for (size_t d = 0; d < rank && why.empty(); ++d)
      reach(dims[d].extent, guard.coefficients[d]);
  }
}

void Checker::body(const Body &body, size_t operands, size_t rank, size_t outputs) {
  if (body.insts.size() > kMaxBody)
    fail("a body has more than 4096 instructions");
  if (body.yields.size() != outputs)
    fail("a body yields " + llvm::Twine(body.yields.size()) + " values for " +
         llvm::Twine(outputs) + " outputs");
  for (auto [i, inst] : llvm::enumerate(body.insts)) {
    auto earlier = [&, at = i](int16_t number) {
      if (number < 0 || static_cast<size_t>(number) >= at)
        fail("body instruction " + llvm::Twine(at) + " uses value " + llvm::Twine(number));
    };
    switch (inst.op) {
    case BodyOp::Constant:
      break;
    case BodyOp::Input:
      if (!inRange(inst.a, operands))
        fail("a body reads operand " + llvm::Twine(inst.a));
      break;
    case BodyOp::Index:
      if (!inRange(inst.a, rank))
        fail("a body reads the index of dimension " + llvm::Twine(inst.a));
      break;
    case BodyOp::Lookup:
      if (!inRange(inst.a, operands))
        fail("a body looks up in operand " + llvm::Twine(inst.a));
      if (!(inst.imm >= 0 && inst.imm <= 65536))
        fail("a look-up table has an impossible size");
      earlier(inst.b);
      break;
    case BodyOp::Fma:
    case BodyOp::Select:
      earlier(inst.c);
      [[fallthrough]];
    case BodyOp::Add:
    case BodyOp::Sub:
    case BodyOp::Mul:
    case BodyOp::Div:
    case BodyOp::Mod:
    case BodyOp::Max:
    case BodyOp::Min:
    case BodyOp::Equal:
    case BodyOp::Less:
    case BodyOp::LessEqual:
    case BodyOp::And:
    case BodyOp::Or:
    case BodyOp::Xor:
    case BodyOp::Pow:
      earlier(inst.b);
      [[fallthrough]];
    default:
      earlier(inst.a);
    }
    for (int16_t unused : {inst.b, inst.c}) // -1, or harmless
      if (unused != -1)
        earlier(unused);
    if (inst.wrap != ElementType::Undefined)
      type(inst.wrap);
  }
  for (int16_t yield : body.yields)
    if (!inRange(yield, body.insts.size()))
      fail("a body yields value " + llvm::Twine(yield));
}

void Checker::command(size_t index) {
  const Command &c = p.commands[index];
  where = "command " + std::to_string(index);
  if (c.layer < -1 || c.layer >= static_cast<int64_t>(p.layers.size()))
    return fail("layer " + llvm::Twine(c.layer) + " does not exist");
  const size_t sizes[] = {p.dma.size(), p.matrix.size(), p.vector.size(), p.gather.size(),
                          p.host.size()};
  if (c.index >= sizes[static_cast<size_t>(c.kind)])
    return fail("there is no such command of its kind");
  if (c.layer >= 0)
    where += " (" + quoted(p.layers[c.layer].node) + ")";
  visitAffines(p, c, [&](const Affine &a) { affine(a); });
  switch (c.kind) {
  case CommandKind::Dma: {
    const DmaCommand &dma = p.dma[c.index];
    address(dma.source);
    address(dma.target);
    type(dma.type);
    dims(dma.dims);
    break;
  }
  case CommandKind::Matrix: {
    const MatrixCommand &m = p.matrix[c.index];
    size_t rank = m.dims.size();
    dims(m.dims);
    operand(m.a, m.dims);
    operand(m.b, m.dims);
    operand(m.accumulator, m.dims);
    if (m.accumulator.type != ElementType::Int32 && m.accumulator.type != ElementType::Float32)
      fail("accumulators are int32 or fp32");
    if (m.accumulator.type == ElementType::Int32 && (isFloat(m.a.type) || isFloat(m.b.type)))
      fail("floats accumulate in fp32");
    if (!m.accumulator.guards.empty())
      fail("accumulators have no guards");
    if (m.hasEpilogue) {
      for (const Operand &input : m.epilogueInputs)
        operand(input, m.dims);
      operand(m.out, m.dims);
      body(m.epilogue, m.epilogueInputs.size() + 2, rank, 1);
    }
    break;
  }
  case CommandKind::Vector: {
    const VectorCommand &v = p.vector[c.index];
    size_t rank = v.dims.size();
    dims(v.dims);
    for (const Operand &input : v.inputs)
      operand(input, v.dims);
    for (const Operand &output : v.outputs)
      operand(output, v.dims);
    if (v.initial.size() > v.outputs.size())
      fail("more initial values than outputs");
    body(v.body, v.inputs.size() + v.outputs.size(), rank, v.outputs.size());
    break;
  }
  case CommandKind::Gather: {
    const GatherCommand &g = p.gather[c.index];
    dims(g.indexDims);
    dims(g.row);
    operand(g.indices, g.indexDims);
    if (!isInteger(g.indices.type))
      fail("indices must be integers");
    address(g.source);
    address(g.target);
    type(g.type);
    atLeast(g.axisSize, 0, "axis size");
    if (why.empty())
      reach(g.axisSize + 1, g.axisStride);
    if (g.targetIndexStrides.size() != g.indexDims.size())
      fail("index dimensions and target strides disagree");
    else if (why.empty())
      for (size_t d = 0; d < g.indexDims.size(); ++d)
        reach(g.indexDims[d].extent, g.targetIndexStrides[d]);
    break;
  }
  case CommandKind::Host: {
    const HostCommand &h = p.host[c.index];
    if (!inRange(h.node, p.hostNodes.size()))
      fail("host node " + llvm::Twine(h.node) + " does not exist");
    for (const std::vector<int32_t> &list : {h.inputs, h.outputs})
      for (int32_t t : list)
        if (t < -1 || t >= static_cast<int64_t>(p.tensors.size()))
          fail("tensor " + llvm::Twine(t) + " does not exist");
    break;
  }
  }
  where.clear();
}

/// Smallest and largest value over the loops' iterations; an overflow is an error.
Interval Checker::range(const Affine &affine) {
  Interval result{affine.constant, affine.constant};
  for (const Affine::Term &term : affine.terms) {
    int64_t reach;
    if (__builtin_mul_overflow(term.coefficient, p.loops[term.loop].trips - 1, &reach) ||
        reach > kMaxBytes || reach < -kMaxBytes) {
      fail("an address or coordinate overflows");
      return {};
    }
    (reach < 0 ? result.low : result.high) += reach;
  }
  return result;
}

void Checker::fits(const Address &address, llvm::ArrayRef<int64_t> extents,
                   llvm::ArrayRef<int64_t> strides, ElementType type) {
  Interval bytes = range(address.offset);
  if (address.ring >= 0)
    bytes.high += (p.rings[address.ring].slots - 1) * p.rings[address.ring].slotBytes;
  for (auto [extent, stride] : llvm::zip(extents, strides)) {
    int64_t reach;
    if (__builtin_mul_overflow(extent - 1, stride, &reach) || reach > kMaxBytes ||
        reach < -kMaxBytes)
      return fail("an operand's addresses overflow");
    (reach < 0 ? bytes.low : bytes.high) += reach;
  }
  bytes.high += (bitWidth(type) + 7) / 8;
  static const char *const names[] = {"DRAM", "scratchpad", "accumulators"};
  auto space = static_cast<size_t>(address.space);
  if (bytes.low < 0 || bytes.high > spaceBytes[space])
    fail("bytes " + llvm::Twine(bytes.low) + " to " + llvm::Twine(bytes.high) +
         " are outside the " + names[space] + " (" + llvm::Twine(spaceBytes[space]) + " bytes)");
}

/// Checks that depend on where the command stands: loops around it, address ranges.
void Checker::placed(const Command &command) {
  if (command.layer >= 0)
    where += " (" + quoted(p.layers[command.layer].node) + ")";
  visitAffines(p, command, [&](const Affine &affine) {
    for (const Affine::Term &term : affine.terms)
      if (!open[term.loop])
        fail("uses loop " + llvm::Twine(term.loop) + ", which is not around it");
    range(affine);
  });
  if (!why.empty())
    return;
  llvm::SmallVector<int64_t, 8> extents, strides;
  bool exact = true; // no clipping: each point of the box is touched
  auto loopDims = [&](llvm::ArrayRef<LoopDim> dims) {
    for (const LoopDim &dim : dims) {
      extents.push_back(dim.extent);
      exact &= !dim.clipped;
    }
  };
  auto check = [&](const Operand &operand) {
    if (exact && operand.guards.empty())
      fits(operand.address, extents, operand.strides, operand.type);
  };
  switch (command.kind) {
  case CommandKind::Dma: {
    const DmaCommand &dma = p.dma[command.index];
    for (const DmaCommand::Dim &dim : dma.dims) {
      extents.push_back(dim.extent);
      exact &= !dim.clipped;
    }
    if (!exact)
      return;
    for (bool source : {true, false}) {
      strides.clear();
      for (const DmaCommand::Dim &dim : dma.dims)
        strides.push_back(source ? dim.sourceStride : dim.targetStride);
      fits(source ? dma.source : dma.target, extents, strides, dma.type);
    }
    return;
  }
  case CommandKind::Matrix: {
    const MatrixCommand &m = p.matrix[command.index];
    loopDims(m.dims);
    check(m.a);
    check(m.b);
    check(m.accumulator);
    if (m.hasEpilogue) {
      for (const Operand &input : m.epilogueInputs)
        check(input);
      check(m.out);
    }
    return;
  }
  case CommandKind::Vector: {
    const VectorCommand &v = p.vector[command.index];
    loopDims(v.dims);
    for (const Operand &input : v.inputs)
      check(input);
    for (const Operand &output : v.outputs)
      check(output);
    return;
  }
  case CommandKind::Gather:
    loopDims(p.gather[command.index].indexDims);
    return check(p.gather[command.index].indices);
  case CommandKind::Host:
    return;
  }
}

void Checker::stream(size_t index) {
  const Stream &stream = p.streams[index];
  std::vector<int32_t> stack;
  open.assign(p.loops.size(), false);
  for (size_t i = 0; i < stream.code.size() && why.empty(); ++i) {
    const Instruction &instruction = stream.code[i];
    where = "stream " + std::to_string(index) + ", instruction " + std::to_string(i);
    size_t size = 0;
    switch (instruction.kind) {
    case Instruction::Kind::LoopBegin:
    case Instruction::Kind::LoopEnd:
      size = p.loops.size();
      break;
    case Instruction::Kind::Run:
      size = p.commands.size();
      break;
    case Instruction::Kind::Wait:
    case Instruction::Kind::Signal:
      size = p.semaphores.size();
      break;
    case Instruction::Kind::Advance:
      size = p.rings.size();
      break;
    }
    if (!inRange(instruction.index, size))
      return fail("names number " + llvm::Twine(instruction.index) + " of " + llvm::Twine(size));
    if (instruction.kind == Instruction::Kind::LoopBegin) {
      if (open[instruction.index])
        return fail("loop " + llvm::Twine(instruction.index) + " stands inside itself");
      open[instruction.index] = true;
      stack.push_back(instruction.index);
    } else if (instruction.kind == Instruction::Kind::LoopEnd) {
      if (stack.empty() || stack.back() != instruction.index)
        return fail("loops are not nested");
      open[instruction.index] = false;
      stack.pop_back();
    } else if (instruction.kind == Instruction::Kind::Run) {
      placed(p.commands[instruction.index]);
    }
  }
  if (!stack.empty())
    fail("a loop does not end");
  where.clear();
}

} // namespace

llvm::Error npucc::validate(const Program &program, int64_t spmBytes, int64_t accBytes) {
  std::string why = Checker(program, spmBytes, accBytes).run();
  if (why.empty())
    return llvm::Error::success();
  return llvm::createStringError(llvm::inconvertibleErrorCode(), "bad program: " + why);
}
