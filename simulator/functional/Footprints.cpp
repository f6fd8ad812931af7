//===- Footprints.cpp - Which bytes a command touches ---------------------===//
//
// Guards cut away what is not touched: the dimensions of one tensor coordinate (an output
// position and a kernel position, say) become one dimension, which is then shortened. Where
// they leave gaps, the outer one is enumerated.
//
//===----------------------------------------------------------------------===//

#include "simulator/functional/Footprints.h"

#include "simulator/functional/Elements.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>

using namespace npucc;

namespace {

struct BoxDim {
  int64_t extent, stride;
  llvm::SmallVector<int64_t, 2> coefficients; ///< by guard
};

struct Box {
  int64_t base = 0;
  llvm::SmallVector<BoxDim, 8> dims;
  llvm::SmallVector<int64_t, 2> starts, bounds; ///< by guard
};

class Collector {
public:
  Collector(const Program &program, const StreamState &state,
            llvm::SmallVectorImpl<Footprint> &result)
      : program(program), state(state), result(result) {}

  void operand(const Operand &operand, llvm::ArrayRef<int64_t> extents, bool write);
  void table(const Operand &operand, int64_t entries);
  void tensor(int32_t index, bool write);
  void box(const Address &address, int64_t offset, ElementType type, llvm::ArrayRef<int64_t> count,
           llvm::ArrayRef<int64_t> strides, bool write);

private:
  const Program &program;
  const StreamState &state;
  llvm::SmallVectorImpl<Footprint> &result;

  void emit(Box box, const Footprint &like);
  enum class Cut { Done, Empty, Gaps };
  Cut cut(Box &box, size_t guard);
};

/// Makes the dimensions of `guard` one and shortens it.
Collector::Cut Collector::cut(Box &box, size_t guard) {
  llvm::SmallVector<BoxDim, 8> involved, others;
  for (BoxDim &dim : box.dims)
    (dim.coefficients[guard] ? involved : others).push_back(dim);
  int64_t start = box.starts[guard], bound = box.bounds[guard];
  if (involved.empty())
    return start >= 0 && start < bound ? Cut::Done : Cut::Empty;
  int64_t base = box.base;
  for (BoxDim &dim : involved) {
    for (size_t g = 0; g < dim.coefficients.size(); ++g)
      if (g != guard && dim.coefficients[g])
        return Cut::Gaps; // two coordinates at once: one of them may be enumerated
    if (int64_t &c = dim.coefficients[guard]; c < 0) {
      start += c * (dim.extent - 1);
      base += dim.stride * (dim.extent - 1);
      c = -c;
      dim.stride = -dim.stride;
    }
  }
  llvm::sort(involved, [&](const BoxDim &a, const BoxDim &b) {
    return a.coefficients[guard] < b.coefficients[guard];
  });
  BoxDim one = involved.front();
  int64_t c = one.coefficients[guard];
  for (const BoxDim &dim : llvm::drop_begin(involved)) {
    int64_t ratio = dim.coefficients[guard] / c;
    if (dim.coefficients[guard] % c || ratio > one.extent || dim.stride != one.stride * ratio)
      return Cut::Gaps;
    one.extent += ratio * (dim.extent - 1);
  }
  int64_t first = start < 0 ? (-start + c - 1) / c : 0;
  int64_t end = start >= bound ? 0 : std::min(one.extent, (bound - start + c - 1) / c);
  if (end <= first)
    return Cut::Empty;
  box.base = base + first * one.stride;
  one.extent = end - first;
  one.coefficients[guard] = 0;
  others.push_back(one);
  box.dims = std::move(others);
  box.starts[guard] = 0;
  box.bounds[guard] = 1;
  return Cut::Done;
}

void Collector::emit(Box box, const Footprint &like) {
  for (size_t g = 0; g < box.starts.size(); ++g) {
    switch (cut(box, g)) {
    case Cut::Done:
      continue;
    case Cut::Empty:
      return;
    case Cut::Gaps: {
      auto outer = llvm::max_element(box.dims, [&](const BoxDim &a, const BoxDim &b) {
        return std::abs(a.coefficients[g]) < std::abs(b.coefficients[g]);
      });
      BoxDim dim = *outer;
      box.dims.erase(outer);
      for (int64_t i = 0; i < dim.extent; ++i) {
        Box one = box;
        one.base += i * dim.stride;
        for (size_t other = 0; other < one.starts.size(); ++other)
          one.starts[other] += i * dim.coefficients[other];
        emit(std::move(one), like);
      }
      return;
    }
    }
  }
  Footprint footprint = like;
  footprint.base = box.base;
  for (const BoxDim &dim : box.dims) {
    if (dim.extent == 1 || dim.stride == 0)
      continue;
    footprint.extents.push_back(dim.extent);
    footprint.strides.push_back(dim.stride);
  }
  result.push_back(std::move(footprint));
}

void Collector::operand(const Operand &operand, llvm::ArrayRef<int64_t> extents, bool write) {
  Box box;
  box.base = resolve(operand.address, program, state);
  for (const Guard &guard : operand.guards) {
    box.starts.push_back(evaluate(guard.start, state));
    box.bounds.push_back(guard.bound);
  }
  for (size_t d = 0; d < extents.size(); ++d) {
    BoxDim dim{extents[d], operand.strides[d], {}};
    bool matters = dim.stride != 0;
    for (const Guard &guard : operand.guards) {
      dim.coefficients.push_back(guard.coefficients[d]);
      matters |= guard.coefficients[d] != 0;
    }
    if (matters && dim.extent > 1)
      box.dims.push_back(std::move(dim));
  }
  Footprint like;
  like.space = operand.address.space;
  like.write = write;
  like.elementBytes = elementBytes(operand.type);
  emit(std::move(box), like);
}

void Collector::table(const Operand &operand, int64_t entries) {
  box(operand.address, 0, operand.type, {entries}, {elementBytes(operand.type)}, false);
}

void Collector::box(const Address &address, int64_t offset, ElementType type,
                    llvm::ArrayRef<int64_t> count, llvm::ArrayRef<int64_t> strides, bool write) {
  Footprint footprint;
  footprint.space = address.space;
  footprint.write = write;
  footprint.base = resolve(address, program, state) + offset;
  footprint.elementBytes = elementBytes(type);
  footprint.extents.assign(count.begin(), count.end());
  footprint.strides.assign(strides.begin(), strides.end());
  if (!llvm::is_contained(count, 0))
    result.push_back(std::move(footprint));
}

void Collector::tensor(int32_t index, bool write) {
  if (index < 0)
    return;
  const ProgramTensor &tensor = program.tensors[index];
  box({Space::Dram, -1, {tensor.address, {}}}, 0, tensor.type, tensor.shape, tensor.strides, write);
}

bool readsOperand(const Body &body, size_t operand, BodyOp by) {
  return llvm::any_of(body.insts, [&](const BodyInst &inst) {
    return inst.op == by && inst.a == static_cast<int>(operand);
  });
}

void bodyInputs(Collector &collector, const Body &body, llvm::ArrayRef<Operand> operands,
                size_t firstNumber, llvm::ArrayRef<int64_t> extents) {
  for (size_t i = 0; i < operands.size(); ++i)
    if (readsOperand(body, firstNumber + i, BodyOp::Input))
      collector.operand(operands[i], extents, false);
  for (const BodyInst &inst : body.insts)
    if (inst.op == BodyOp::Lookup && inst.a >= int(firstNumber) &&
        inst.a < int(firstNumber + operands.size()))
      collector.table(operands[inst.a - firstNumber], inst.imm > 0 ? int64_t(inst.imm) : 256);
}

} // namespace

void npucc::collectFootprints(const Program &program, const Command &command,
                              const StreamState &state, llvm::SmallVectorImpl<Footprint> &result) {
  Collector collector(program, state, result);
  llvm::SmallVector<int64_t, 8> extents;
  switch (command.kind) {
  case CommandKind::Dma: {
    const DmaCommand &dma = program.dma[command.index];
    DmaBox box;
    clippedBox(dma.dims, state, box);
    for (bool write : {false, true}) {
      int64_t offset = 0;
      llvm::SmallVector<int64_t, 6> strides;
      for (size_t d = 0; d < dma.dims.size(); ++d) {
        strides.push_back(write ? dma.dims[d].targetStride : dma.dims[d].sourceStride);
        offset += box.first[d] * strides.back();
      }
      collector.box(write ? dma.target : dma.source, offset, dma.type, box.count, strides, write);
    }
    return;
  }
  case CommandKind::Matrix: {
    const MatrixCommand &m = program.matrix[command.index];
    clippedExtents(m.dims, state, extents);
    if (llvm::is_contained(extents, 0))
      return;
    collector.operand(m.a, extents, false);
    collector.operand(m.b, extents, false);
    if (!holds(m.clearIf, state))
      collector.operand(m.accumulator, extents, false);
    bool epilogue = m.hasEpilogue && holds(m.epilogueIf, state);
    if (epilogue) {
      for (size_t d = 0; d < extents.size(); ++d)
        if (m.dims[d].reduction)
          extents[d] = 1;
      bodyInputs(collector, m.epilogue, m.epilogueInputs, 1, extents);
      bodyInputs(collector, m.epilogue, m.out, m.epilogueInputs.size() + 1, extents);
    }
    collector.operand(m.accumulator, extents, true);
    if (epilogue)
      collector.operand(m.out, extents, true);
    return;
  }
  case CommandKind::Vector: {
    const VectorCommand &v = program.vector[command.index];
    clippedExtents(v.dims, state, extents);
    if (llvm::is_contained(extents, 0))
      return;
    bodyInputs(collector, v.body, v.inputs, 0, extents);
    if (v.initial.empty() || !holds(v.clearIf, state))
      bodyInputs(collector, v.body, v.outputs, v.inputs.size(), extents);
    for (const Operand &output : v.outputs)
      collector.operand(output, extents, true);
    return;
  }
  case CommandKind::Gather: {
    const GatherCommand &g = program.gather[command.index];
    clippedExtents(g.indexDims, state, extents);
    DmaBox box;
    clippedBox(g.row, state, box);
    if (llvm::is_contained(extents, 0) || llvm::is_contained(box.count, 0))
      return;
    collector.operand(g.indices, extents, false);
    for (bool write : {false, true}) {
      int64_t offset = 0;
      llvm::SmallVector<int64_t, 8> count, strides;
      if (write) {
        count = extents;
        strides.assign(g.targetIndexStrides.begin(), g.targetIndexStrides.end());
      } else {
        count = {g.axisSize};
        strides = {g.axisStride};
      }
      for (size_t d = 0; d < g.row.size(); ++d) {
        count.push_back(box.count[d]);
        strides.push_back(write ? g.row[d].targetStride : g.row[d].sourceStride);
        offset += box.first[d] * strides.back();
      }
      collector.box(write ? g.target : g.source, offset, g.type, count, strides, write);
    }
    return;
  }
  case CommandKind::Host:
    for (int32_t t : program.host[command.index].inputs)
      collector.tensor(t, false);
    for (int32_t t : program.host[command.index].outputs)
      collector.tensor(t, true);
    return;
  }
}
