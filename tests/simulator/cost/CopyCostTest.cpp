//===- CopyCostTest.cpp - DMA, DRAM estimate and host operators -----------===//

#include "simulator/cost/Cost.h"
#include "tests/simulator/TestMachine.h"

#include <catch2/catch.hpp>

#include <set>
#include <string>

using namespace npucc;
using namespace npucc::test;

namespace {

DmaCommand::Dim box(int64_t extent, int64_t source, int64_t target) {
  DmaCommand::Dim d;
  d.extent = extent;
  d.sourceStride = source;
  d.targetStride = target;
  return d;
}

} // namespace

TEST_CASE("dma: contiguous bytes", "[cost]") {
  DmaCost c = dmaCost(copy(Space::Dram, 0, Space::Spm, 0, 1000), {1000}, machine());
  CHECK(c.bytes == 1000);
  CHECK(c.runs == 1);
  CHECK(c.runBytes == 1000);
  CHECK(c.beats == 16);
  CHECK(c.command.cycles == 16);
  CHECK(c.command.latencyCycles == 16 + 16);
  CHECK(c.command.actions[Action::DmaByte] == 1000);
  CHECK(c.command.actions[Action::DramReadByte] == 1024); // whole bursts of 32 bytes
  CHECK(c.command.actions[Action::ScratchpadWriteByte] == 1000);
}

TEST_CASE("dma: dimensions merge where both ends are contiguous", "[cost]") {
  DmaCommand c = copy(Space::Dram, 0, Space::Spm, 0, 56);
  c.dims = {box(8, 56 * 56, 14 * 56), box(14, 56, 56), box(56, 1, 1)};
  DmaCost k = dmaCost(c, {8, 14, 56}, machine());
  CHECK(k.runs == 8);
  CHECK(k.runBytes == 14 * 56);
  CHECK(k.beats == 8 * 13);
  // Rows padded to 64 bytes in scratchpad: DRAM still sees long runs, the datapath single rows.
  c.dims = {box(8, 56 * 56, 14 * 64), box(14, 56, 64), box(56, 1, 1)};
  k = dmaCost(c, {8, 14, 56}, machine());
  CHECK(k.runs == 8);
  CHECK(k.beats == 8 * 14);
  // Transposed: a beat for each element.
  c.dims = {box(32, 1, 64), box(64, 32, 1)};
  k = dmaCost(c, {32, 64}, machine());
  CHECK(k.runs == 1);
  CHECK(k.beats == 32 * 64);
  CHECK(dmaCost(c, {32, 0}, machine()).bytes == 0);
}

TEST_CASE("dma: a copy inside DRAM loads it twice", "[cost]") {
  DmaCost k = dmaCost(copy(Space::Dram, 0, Space::Dram, 65536, 4096), {4096}, machine());
  CHECK(k.command.actions[Action::DramReadByte] == 4096);
  CHECK(k.command.actions[Action::DramWriteByte] == 4096);
  CHECK(k.runs * k.runBytes == 8192);
}

TEST_CASE("gather: rows by index", "[cost]") {
  GatherCommand g;
  g.indices = operand(Space::Spm, 0, ElementType::Int32, {4});
  g.indexDims = {dim(100, LoopRole::Other)};
  g.axisSize = 30000;
  g.axisStride = 128;
  g.source.space = Space::Dram;
  g.target.space = Space::Spm;
  g.targetIndexStrides = {128};
  g.type = ElementType::Int8;
  g.row = {box(128, 1, 1)};
  DmaCost k = gatherCost(g, {100}, {128}, machine());
  CHECK(k.bytes == 12800);
  CHECK(k.runs == 100);
  CHECK(k.runBytes == 128);
  CHECK(k.beats == 200);
  CHECK(k.command.actions[Action::ScratchpadReadByte] == 400);
}

TEST_CASE("dram estimate: below peak, worse for short runs", "[cost]") {
  Machine m = machine();
  double whole = dramCycles(1, 1 << 20, m);
  double peak = (1 << 20) / 51.2;
  CHECK(whole > peak);
  CHECK(whole < peak / 0.9);
  CHECK(dramCycles(1 << 14, 64, m) >= whole);
  CHECK(dramCycles(1 << 15, 32, m) > 1.5 * whole);
  Machine wide = m;
  wide.dramWidthBits = 128;
  CHECK(dramCycles(1 << 14, 64, wide) < dramCycles(1 << 14, 64, m));
  CHECK(dramCycles(0, 0, m) == 0);
}

TEST_CASE("host: everything counts", "[cost]") {
  Machine m = machine();
  ProgramTensor in, out;
  in.type = out.type = ElementType::Float32;
  in.shape = {1000};
  out.shape = {1000};
  Node node;
  node.opType = "NonZero";
  CommandCost c = hostCost(node, {&in, nullptr}, {&out}, m);
  CHECK(c.actions[Action::HostByte] == 8000);
  CHECK(c.actions[Action::HostOp] >= 1000);
  CHECK(c.cycles > 200 + 1000);
  CHECK(c.bound == Bound::Host);
  m.control.opsPerCycle = 4;
  CHECK(hostCost(node, {&in, nullptr}, {&out}, m).cycles < c.cycles);
}

TEST_CASE("actions have distinct names", "[cost]") {
  std::set<std::string> names;
  for (size_t i = 0; i < static_cast<size_t>(Action::Count); ++i)
    names.insert(actionName(static_cast<Action>(i)));
  CHECK(names.size() == static_cast<size_t>(Action::Count));
}
