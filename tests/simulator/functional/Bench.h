//===- Bench.h - Runs single commands on bytes for tests --------*- C++ -*-===//
//
// DRAM is one uint8 tensor, in and out; the other memories are reached by DMA.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/functional/Elements.h"
#include "simulator/functional/Functional.h"

#include <catch2/catch.hpp>

#include <cstring>
#include <random>

namespace npucc::test {

struct Bench {
  Program program;
  StreamState state;
  std::vector<uint8_t> dram;
  int64_t spmBytes = 1 << 16, accBytes = 1 << 16;

  explicit Bench(int64_t bytes) : dram(bytes) {
    program.dramBytes = bytes;
    for (auto kind : {ProgramTensor::Kind::Input, ProgramTensor::Kind::Output}) {
      ProgramTensor tensor;
      tensor.kind = kind;
      tensor.name = kind == ProgramTensor::Kind::Input ? "in" : "out";
      tensor.type = ElementType::Uint8;
      tensor.shape = {bytes};
      tensor.strides = {1};
      tensor.bytes = bytes;
      program.tensors.push_back(tensor);
    }
    program.loops.resize(4);
    program.rings.resize(2);
    state.loopValues.assign(4, 0);
    state.ringCounts.assign(2, 0);
  }

  void add(DmaCommand c) { add(CommandKind::Dma, program.dma, std::move(c)); }
  void add(MatrixCommand c) { add(CommandKind::Matrix, program.matrix, std::move(c)); }
  void add(VectorCommand c) { add(CommandKind::Vector, program.vector, std::move(c)); }
  void add(GatherCommand c) { add(CommandKind::Gather, program.gather, std::move(c)); }

  /// A copy of everything between DRAM and another memory, same offsets.
  void addCopy(Space from, Space to, int64_t offset, int64_t bytes) {
    DmaCommand copy;
    copy.source = {from, -1, {offset, {}}};
    copy.target = {to, -1, {offset, {}}};
    copy.type = ElementType::Uint8;
    copy.dims.push_back({bytes, 1, 1, false, 0, 1, {}});
    add(copy);
  }

  /// Executes all commands; the bytes of DRAM after.
  std::vector<uint8_t> run() {
    std::string why = tryRun();
    INFO(why);
    REQUIRE(why.empty());
    return result;
  }
  std::string tryRun() {
    FunctionalMemory memory(program, spmBytes, accBytes);
    Tensor image = Tensor::of<uint8_t>(ElementType::Uint8, {int64_t(dram.size())}, dram);
    if (llvm::Error error = memory.load({{"in", image}}))
      return llvm::toString(std::move(error));
    for (const Command &command : program.commands)
      if (llvm::Error error = memory.execute(command, state))
        return llvm::toString(std::move(error));
    auto outputs = memory.outputs();
    if (!outputs)
      return llvm::toString(outputs.takeError());
    auto bytes = (*outputs)["out"].values<uint8_t>();
    result.assign(bytes.begin(), bytes.end());
    return {};
  }
  std::vector<uint8_t> result;

  void put(int64_t offset, ElementType type, double value) {
    REQUIRE(offset >= 0);
    REQUIRE(offset + elementBytes(type) <= int64_t(dram.size()));
    encodeElement(type, value, &dram[offset]);
  }
  template <class T> static T at(const std::vector<uint8_t> &bytes, int64_t offset) {
    T value;
    std::memcpy(&value, &bytes.at(offset), sizeof value);
    return value;
  }

private:
  template <class List, class C> void add(CommandKind kind, List &list, C command) {
    program.commands.push_back({kind, -1, uint32_t(list.size())});
    list.push_back(std::move(command));
  }
};

inline LoopDim dim(int64_t extent, bool reduction = false) {
  LoopDim d;
  d.extent = extent;
  d.reduction = reduction;
  return d;
}

inline Operand operand(Space space, int64_t offset, ElementType type,
                       llvm::ArrayRef<int64_t> strides) {
  Operand o;
  o.address = {space, -1, {offset, {}}};
  o.type = type;
  o.strides.assign(strides.begin(), strides.end());
  return o;
}

inline BodyInst inst(BodyOp op, bool isFloat, int a = -1, int b = -1, int c = -1, double imm = 0,
                     ElementType wrap = ElementType::Undefined) {
  BodyInst i;
  i.op = op;
  i.isFloat = isFloat;
  i.a = int16_t(a);
  i.b = int16_t(b);
  i.c = int16_t(c);
  i.imm = imm;
  i.wrap = wrap;
  return i;
}

/// The same body with yields.
inline Body body(std::initializer_list<BodyInst> insts, std::initializer_list<int16_t> yields) {
  Body b;
  b.insts.assign(insts);
  b.yields.assign(yields);
  return b;
}

/// Calls f(index) for every point of a box.
template <class F> void eachPoint(llvm::ArrayRef<int64_t> extents, F f) {
  std::vector<int64_t> index(extents.size(), 0);
  for (int64_t e : extents)
    if (e == 0)
      return;
  while (true) {
    f(index);
    size_t d = index.size();
    while (d > 0 && ++index[d - 1] == extents[d - 1])
      index[--d] = 0;
    if (d == 0)
      return;
  }
}

inline int64_t dot(llvm::ArrayRef<int64_t> a, llvm::ArrayRef<int64_t> b) {
  int64_t sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    sum += a[i] * b[i];
  return sum;
}

using Random = std::mt19937;
inline int64_t pick(Random &random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

} // namespace npucc::test
