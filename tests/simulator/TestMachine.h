//===- TestMachine.h - A machine and commands for simulator tests -*- C++ -*-===//
//
// Numbers are spelt out here, so that a change of a machine file does not move the hand-made
// cycle counts of the tests.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/machine/Machine.h"
#include "runtime/program/Program.h"

namespace npucc::test {

/// LPDDR5-6400 as in models/dram.
inline DramStandard lpddr5() {
  DramStandard d;
  d.name = "LPDDR5-6400";
  d.megaTransfersPerSecond = 6400;
  d.transfersPerClock = 8;
  d.channelWidthBits = 16;
  d.burstLength = 16;
  d.bankGroups = 4;
  d.banksPerGroup = 4;
  d.pageBytes = 2048;
  d.tRcdNs = d.tRcdWriteNs = 18.75;
  d.tRpNs = 18.75;
  d.tRpAllNs = 21.25;
  d.tRasNs = 42.5;
  d.tRcNs = 61.25;
  d.tClNs = 21.25;
  d.tCwlNs = 11.25;
  d.tRtpNs = 10;
  d.tWrNs = 35;
  d.tFawNs = 20;
  d.tRrdShortNs = d.tRrdLongNs = 5;
  d.tCcdShortNs = 2.5;
  d.tCcdLongNs = d.tCcdLongWriteNs = 5;
  d.tWtrShortNs = 6.25;
  d.tWtrLongNs = 12.5;
  d.tRtwNs = 15;
  d.tRefiNs = 3906.25;
  d.tRfcNs = 280;
  d.tRfcBankNs = 140;
  return d;
}

/// 64x64 systolic array, 64 lanes, two 64-byte read ports, one 64-byte write port, 51.2 GB/s.
inline Machine machine() {
  Machine m;
  m.name = "test";
  m.clockHz = 1e9;
  m.matrix.kind = MatrixKind::Systolic;
  m.matrix.rows = m.matrix.cols = 64;
  m.matrix.rowDims = {LoopRole::InChannel, LoopRole::Window};
  m.matrix.colDims = {LoopRole::OutChannel};
  m.matrix.precisions = {{"int8", 1}, {"bf16", 0.5}, {"fp32", 0.125}};
  m.matrix.accumulatorBytes = 1 << 18;
  m.matrix.weightLoadBytesPerCycle = 64;
  m.matrix.outputElementsPerCycle = 64;
  m.matrix.pipelineCycles = 4;
  m.vector.lanes = 64;
  m.vector.opCost = {{"exp", 4}, {"div", 4}};
  m.scratchpad = {1 << 21, 16, 128, 64};
  m.dma.bytesPerCycle = 64;
  m.dma.setupCycles = 16;
  m.control.clockHz = 1e9;
  m.control.interruptCycles = 200;
  m.dramChannels = 4;
  m.dramWidthBits = 64;
  m.dram = lpddr5();
  return m;
}

inline LoopDim dim(int64_t extent, LoopRole role, bool reduction = false) {
  LoopDim d;
  d.extent = extent;
  d.role = role;
  d.reduction = reduction;
  return d;
}

inline Operand operand(Space space, int64_t offset, ElementType type,
                       std::initializer_list<int64_t> strides) {
  Operand o;
  o.address.space = space;
  o.address.offset.constant = offset;
  o.type = type;
  o.strides.assign(strides);
  return o;
}

/// out[p, n] = sum over k of a[p, k] * b[k, n], rows contiguous, int8, result int8.
inline MatrixCommand matmul(int64_t p, int64_t n, int64_t k, ElementType type = ElementType::Int8) {
  MatrixCommand c;
  auto bytes = static_cast<int64_t>(bitWidth(type)) / 8;
  c.dims = {dim(p, LoopRole::Stream), dim(n, LoopRole::OutChannel),
            dim(k, LoopRole::InChannel, true)};
  c.a = operand(Space::Spm, 0, type, {k * bytes, 0, bytes});
  c.b = operand(Space::Spm, p * k * bytes, type, {0, bytes, n * bytes});
  c.accumulator = operand(Space::Acc, 0, isFloat(type) ? ElementType::Float32 : ElementType::Int32,
                          {n * 4, 4, 0});
  c.hasEpilogue = true;
  c.out = operand(Space::Spm, (p + n) * k * bytes, type, {n * bytes, bytes, 0});
  BodyInst input;
  input.op = BodyOp::Input;
  input.isFloat = isFloat(type);
  input.a = 0;
  c.epilogue.insts = {input};
  c.epilogue.yields = {0};
  return c;
}

/// out[i] = a[i] + b[i] over int8.
inline VectorCommand add(int64_t n) {
  VectorCommand c;
  c.dims = {dim(n, LoopRole::Other)};
  c.inputs = {operand(Space::Spm, 0, ElementType::Int8, {1}),
              operand(Space::Spm, n, ElementType::Int8, {1})};
  c.outputs = {operand(Space::Spm, 2 * n, ElementType::Int8, {1})};
  BodyInst a, b, sum;
  a.op = b.op = BodyOp::Input;
  a.isFloat = b.isFloat = sum.isFloat = false;
  a.a = 0;
  b.a = 1;
  sum.op = BodyOp::Add;
  sum.a = 0;
  sum.b = 1;
  c.body.insts = {a, b, sum};
  c.body.yields = {2};
  return c;
}

/// Contiguous bytes between DRAM and scratchpad.
inline DmaCommand copy(Space from, int64_t source, Space to, int64_t target, int64_t bytes) {
  DmaCommand c;
  c.source.space = from;
  c.source.offset.constant = source;
  c.target.space = to;
  c.target.offset.constant = target;
  c.type = ElementType::Int8;
  DmaCommand::Dim d;
  d.extent = bytes;
  d.sourceStride = d.targetStride = 1;
  c.dims = {d};
  return c;
}

} // namespace npucc::test
