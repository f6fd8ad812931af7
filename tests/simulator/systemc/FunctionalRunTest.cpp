//===- FunctionalRunTest.cpp - Data, hazards and dropped waits in a run ---===//

#include "simulator/core/Simulator.h"
#include "tests/simulator/TestMachine.h"

#include <catch2/catch.hpp>

using namespace npucc;
using namespace npucc::test;

namespace {

constexpr int64_t kTile = 96, kTiles = 7, kTotal = kTile * kTiles;

ProgramTensor tensor(const char *name, ProgramTensor::Kind kind, int64_t address) {
  ProgramTensor t;
  t.kind = kind;
  t.name = name;
  t.type = ElementType::Int8;
  t.shape = {kTotal};
  t.strides = {1};
  t.address = address;
  t.bytes = kTotal;
  return t;
}

/// out = a + b in tiles, through rings of `slots` buffers for a, b and out.
Program sum(int64_t slots) {
  using Kind = Instruction::Kind;
  Program p;
  p.spmBytes = 3 * slots * 128;
  p.dramBytes = 3 * 4096;
  p.layers.push_back({"sum", "Add", 0, false, -1, 0});
  p.tensors = {tensor("a", ProgramTensor::Kind::Input, 0),
               tensor("b", ProgramTensor::Kind::Input, 4096),
               tensor("out", ProgramTensor::Kind::Output, 8192)};
  p.rings = {{slots, 128}, {slots, 128}, {slots, 128}};
  p.loops = {{kTiles}, {kTiles}, {kTiles}};
  p.semaphores = {{slots}, {0}, {slots}, {0}}; // inputs free, loaded, output free, computed
  auto ring = [&](int32_t r) {
    Address a;
    a.space = Space::Spm;
    a.ring = r;
    a.offset.constant = r * slots * 128;
    return a;
  };
  for (int32_t i : {0, 1}) {
    DmaCommand in = copy(Space::Dram, i * 4096, Space::Spm, 0, kTile);
    in.source.offset.terms.push_back({0, kTile});
    in.target = ring(i);
    p.dma.push_back(in);
  }
  DmaCommand out = copy(Space::Spm, 0, Space::Dram, 8192, kTile);
  out.source = ring(2);
  out.target.offset.terms.push_back({2, kTile});
  p.dma.push_back(out);
  VectorCommand v = add(kTile);
  v.inputs[0].address = ring(0);
  v.inputs[1].address = ring(1);
  v.outputs[0].address = ring(2);
  p.vector = {v};
  p.commands = {{CommandKind::Dma, 0, 0},
                {CommandKind::Dma, 0, 1},
                {CommandKind::Dma, 0, 2},
                {CommandKind::Vector, 0, 0}};
  auto i = [](Kind kind, int32_t index) { return Instruction{kind, index, false}; };
  p.streams.push_back(
      {EngineKind::Load,
       0,
       {i(Kind::LoopBegin, 0), i(Kind::Wait, 0), i(Kind::Advance, 0), i(Kind::Advance, 1),
        i(Kind::Run, 0), i(Kind::Run, 1), i(Kind::Signal, 1), i(Kind::LoopEnd, 0)}});
  p.streams.push_back(
      {EngineKind::Vector,
       0,
       {i(Kind::LoopBegin, 1), i(Kind::Wait, 1), i(Kind::Wait, 2), i(Kind::Advance, 0),
        i(Kind::Advance, 1), i(Kind::Advance, 2), i(Kind::Run, 3), i(Kind::Signal, 0),
        i(Kind::Signal, 3), i(Kind::LoopEnd, 1)}});
  p.streams.push_back({EngineKind::Store,
                       0,
                       {i(Kind::LoopBegin, 2), i(Kind::Wait, 3), i(Kind::Advance, 2),
                        i(Kind::Run, 2), i(Kind::Signal, 2), i(Kind::LoopEnd, 2)}});
  return p;
}

std::map<std::string, Tensor> inputs() {
  Tensor a = Tensor::zeros(ElementType::Int8, {kTotal}), b = a;
  b = Tensor::zeros(ElementType::Int8, {kTotal});
  for (int64_t i = 0; i < kTotal; ++i) {
    a.mutableValues<int8_t>()[static_cast<size_t>(i)] = static_cast<int8_t>(i % 50);
    b.mutableValues<int8_t>()[static_cast<size_t>(i)] = static_cast<int8_t>(i % 31 - 60);
  }
  return {{"a", a}, {"b", b}};
}

SimulationResult simulated(const Program &p, SimulationOptions options) {
  llvm::Expected<SimulationResult> result = simulate(p, machine(), inputs(), options);
  if (!result)
    FAIL(llvm::toString(result.takeError()));
  return std::move(*result);
}

bool right(const SimulationResult &result) {
  const Tensor &out = result.outputs.at("out");
  for (int64_t i = 0; i < kTotal; ++i)
    if (out.asInt(i) != i % 50 + i % 31 - 60)
      return false;
  return true;
}

} // namespace

TEST_CASE("run: a pipeline of tiles computes, in any order of ready engines", "[systemc]") {
  for (int64_t slots : {1, 2, 3})
    for (uint64_t seed : {0, 1, 2, 3}) {
      SimulationOptions options;
      options.checkHazards = true;
      options.shuffleSeed = seed;
      SimulationResult r = simulated(sum(slots), options);
      CHECK(right(r));
      for (const Hazard &hazard : r.hazards)
        FAIL_CHECK(hazard.text);
    }
}

TEST_CASE("run: timing and functional mode agree to the cycle", "[systemc]") {
  SimulationOptions timing, functional;
  timing.functional = false;
  functional.checkHazards = true;
  for (int64_t slots : {1, 2, 3}) {
    SimulationResult a = simulated(sum(slots), timing), b = simulated(sum(slots), functional);
    CHECK(a.cycles == b.cycles);
    CHECK(a.actions.count == b.actions.count);
    CHECK(a.outputs.empty());
  }
}

TEST_CASE("run: every dropped wait is a hazard", "[systemc]") {
  // Numbers of the four waits: load 0 (Run 1, 2), vector 3 and 4 (Run 5), store 6.
  for (int64_t wait : {0, 3, 4, 6}) {
    SimulationOptions options;
    options.checkHazards = true;
    options.dropInstruction = wait;
    CHECK_FALSE(simulated(sum(2), options).hazards.empty());
  }
}

TEST_CASE("run: a dropped command is seen in the data", "[systemc]") {
  SimulationOptions options;
  options.dropInstruction = 5;
  CHECK_FALSE(right(simulated(sum(2), options)));
}

TEST_CASE("run: a dropped command is missed by its reader where the data stay right", "[systemc]") {
  // The sum is computed twice, the second time over the first.
  Program p = sum(2);
  std::vector<Instruction> &code = p.streams[1].code;
  p.commands.push_back({CommandKind::Vector, 0, 0});
  code.insert(code.begin() + 6, {Instruction::Kind::Run, 3, false});
  code[7].index = 4;
  SimulationOptions record;
  record.checkHazards = record.recordFlows = true;
  SimulationResult whole = simulated(p, record);
  CHECK(whole.hazards.empty());
  REQUIRE(whole.flows);
  auto without = [&](int64_t number, uint64_t seed = 0) {
    SimulationOptions options;
    options.checkHazards = true;
    options.expectedFlows = whole.flows;
    options.dropInstruction = number;
    options.shuffleSeed = seed;
    SimulationResult r = simulated(p, options);
    CHECK_FALSE(r.flows);
    if (number == 5 || number == 6)
      CHECK(right(r));
    return r.hazards;
  };
  // Load 0 wait, 1 and 2; vector 3 and 4 waits, 5 and 6; store 7 wait, 8.
  for (uint64_t seed : {0, 1, 2})
    CHECK(without(-1, seed).empty());
  for (int64_t number : {0, 1, 2, 3, 4, 6, 7, 8}) {
    INFO("without instruction " << number);
    CHECK_FALSE(without(number).empty());
  }
  CHECK(without(5).empty()); // nobody reads it
  std::vector<Hazard> hazards = without(6);
  REQUIRE(hazards.size() == 1);
  CHECK(hazards[0].text ==
        "unexpected flow: store 0 instruction 8 ('sum') reads scratchpad bytes 512 to 607 last "
        "written by vector 0 instruction 5 ('sum'), which the whole program never does at that "
        "point");
}

TEST_CASE("run: a missing input is an error", "[systemc]") {
  llvm::Expected<SimulationResult> result = simulate(sum(1), machine(), {}, {});
  REQUIRE(!result);
  CHECK(llvm::toString(result.takeError()).find("a") != std::string::npos);
}
