//===- VectorCostTest.cpp - Hand-made cycle counts of the SIMD unit -------===//

#include "simulator/cost/Cost.h"
#include "tests/simulator/TestMachine.h"

#include <catch2/catch.hpp>

using namespace npucc;
using namespace npucc::test;

namespace {

CommandCost cost(const VectorCommand &command, const Machine &machine) {
  llvm::SmallVector<int64_t, 8> extents;
  for (const LoopDim &d : command.dims)
    extents.push_back(d.extent);
  return vectorCost(command, extents, machine);
}

VectorCommand transposed(int64_t rows, int64_t cols) {
  VectorCommand c;
  c.dims = {dim(rows, LoopRole::Other), dim(cols, LoopRole::Other)};
  c.inputs = {operand(Space::Spm, 0, ElementType::Int8, {1, rows})};
  c.outputs = {operand(Space::Spm, rows * cols, ElementType::Int8, {cols, 1})};
  BodyInst input;
  input.a = 0;
  input.op = BodyOp::Input;
  c.body.insts = {input};
  c.body.yields = {0};
  return c;
}

/// out[i] = max over j of a[i, j].
VectorCommand rowMax(int64_t rows, int64_t cols) {
  VectorCommand c = transposed(rows, cols);
  c.dims[1].reduction = true;
  c.inputs[0].strides = {cols, 1};
  c.outputs[0].strides = {1, 0};
  c.initial = {-128};
  BodyInst state = c.body.insts[0], max;
  state.a = 1;
  max.op = BodyOp::Max;
  max.a = 0;
  max.b = 1;
  c.body.insts = {c.body.insts[0], state, max};
  c.body.yields = {2};
  return c;
}

} // namespace

TEST_CASE("vector: lanes and ports", "[cost]") {
  Machine m = machine();
  CommandCost c = cost(add(1000), m);
  CHECK(c.cycles == 16); // 1000 points on 64 lanes
  CHECK(c.latencyCycles == 16 + m.vector.pipelineCycles);
  CHECK(c.actions[Action::VectorOp] == 1000);
  CHECK(c.actions[Action::ScratchpadReadByte] == 2000);
  CHECK(c.actions[Action::ScratchpadWriteByte] == 1000);
  m.vector.lanes = 256;
  CommandCost bound = cost(add(6400), m); // 6400 bytes through a 64-byte write port
  CHECK(bound.cycles == 100);
  CHECK(bound.bound == Bound::Scratchpad);
}

TEST_CASE("vector: operations of a body", "[cost]") {
  Machine m = machine();
  VectorCommand c = add(64);
  CHECK(bodyOps(c.body, m) == 1);
  BodyInst exp;
  exp.op = BodyOp::Exp;
  exp.a = 2;
  c.body.insts.push_back(exp);
  CHECK(bodyOps(c.body, m) == 5);
  CHECK(cost(c, m).cycles == 5);
  c.body.insts.resize(1); // a plain copy still moves data
  CHECK(bodyOps(c.body, m) == 0);
  CHECK(cost(c, m).actions[Action::VectorOp] == 64);
}

TEST_CASE("vector: a transposition is strided at one end", "[cost]") {
  CommandCost c = cost(transposed(64, 64), machine());
  // Each 64-byte word brings one element: 4096 words through two read ports.
  CHECK(c.cycles == 4096 / 2);
  CHECK(c.bound == Bound::Scratchpad);
  // A stride of 4 bytes finds 16 elements in each word.
  CHECK(cost(transposed(4, 1024), machine()).cycles == 4096 / 16 / 2);
}

TEST_CASE("vector: reductions", "[cost]") {
  // Enough rows: each lane has its own.
  CHECK(cost(rowMax(64, 100), machine()).cycles == 100);
  // One row: 1024 elements on 64 lanes, then a tree of 6 levels.
  CHECK(cost(rowMax(1, 1024), machine()).cycles == 16 + 6);
  // A scan cannot be spread along its reduction.
  VectorCommand scan = rowMax(1, 1024);
  scan.outputs[0].strides = {0, 1};
  CHECK(cost(scan, machine()).cycles == 1024);
}

TEST_CASE("vector: broadcast operands are read once", "[cost]") {
  VectorCommand c = transposed(32, 64);
  c.inputs[0].strides = {64, 1};
  c.inputs.push_back(operand(Space::Spm, 8192, ElementType::Float32, {0, 4}));
  CommandCost k = cost(c, machine());
  CHECK(k.actions[Action::ScratchpadReadByte] == 32 * 64 + 64 * 4);
  CHECK(k.cycles == 32);
}

TEST_CASE("vector: more hardware is never slower", "[cost]") {
  for (int64_t rows : {1, 3, 63, 64, 65, 200})
    for (int64_t cols : {1, 7, 64, 129})
      for (bool reduce : {false, true}) {
        VectorCommand c = reduce ? rowMax(rows, cols) : transposed(rows, cols);
        Machine m = machine();
        m.vector.lanes = 16;
        CommandCost base = cost(c, m);
        CHECK(base.latencyCycles >= base.cycles);
        Machine lanes = m, wide = m;
        lanes.vector.lanes = 64;
        wide.scratchpad.readBytesPerCycle *= 2;
        wide.scratchpad.writeBytesPerCycle *= 2;
        CHECK(cost(c, lanes).cycles <= base.cycles + 6); // a deeper tree may join the lanes
        CHECK(cost(c, wide).cycles <= base.cycles);
      }
}
