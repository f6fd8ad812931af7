//===- PipelineTest.cpp - A double-buffered pipeline, whole and broken ----===//
//
// Load, vector and store engines overlap on two-slot rings. Whole, the program computes the
// right bytes in any order of ready engines; without any one of its waits the hazard checker
// says so, whether or not the bytes went wrong.
//
//===----------------------------------------------------------------------===//

#include "tests/simulator/functional/Bench.h"

#include "simulator/core/Simulator.h"

using namespace npucc;
using namespace npucc::test;

namespace {

constexpr int64_t kTiles = 9, kTileBytes = 256;

Program pipeline() {
  Program p;
  p.dramBytes = 2 * kTiles * kTileBytes;
  p.spmBytes = 4 * kTileBytes;
  p.loops = {{kTiles}};
  p.rings = {{2, kTileBytes}, {2, kTileBytes}};
  p.semaphores = {{0}, {2}, {0}, {2}}; // in full, in free, out full, out free
  p.layers.resize(1);
  p.layers[0].node = "add1";
  for (bool input : {true, false}) {
    ProgramTensor t;
    t.kind = input ? ProgramTensor::Kind::Input : ProgramTensor::Kind::Output;
    t.name = input ? "x" : "y";
    t.type = ElementType::Int8;
    t.shape = {kTiles * kTileBytes};
    t.strides = {1};
    t.address = input ? 0 : kTiles * kTileBytes;
    t.bytes = kTiles * kTileBytes;
    p.tensors.push_back(t);
  }
  DmaCommand load, store;
  load.type = store.type = ElementType::Int8;
  load.dims.push_back({kTileBytes, 1, 1, false, 0, 1, {}});
  store.dims = load.dims;
  load.source = {Space::Dram, -1, {0, {{0, kTileBytes}}}};
  load.target = {Space::Spm, 0, {0, {}}};
  store.source = {Space::Spm, 1, {2 * kTileBytes, {}}};
  store.target = {Space::Dram, -1, {kTiles * kTileBytes, {{0, kTileBytes}}}};
  p.dma = {load, store};
  VectorCommand v;
  v.dims = {dim(kTileBytes)};
  v.inputs = {operand(Space::Spm, 0, ElementType::Int8, {1})};
  v.outputs = {operand(Space::Spm, 2 * kTileBytes, ElementType::Int8, {1})};
  v.inputs[0].address.ring = 0;
  v.outputs[0].address.ring = 1;
  v.body = body({inst(BodyOp::Input, false, 0), inst(BodyOp::Constant, false, -1, -1, -1, 1),
                 inst(BodyOp::Add, false, 0, 1)},
                {2});
  p.vector = {v};
  p.commands = {{CommandKind::Dma, 0, 0}, {CommandKind::Vector, 0, 0}, {CommandKind::Dma, 0, 1}};
  using K = Instruction::Kind;
  p.streams.resize(3);
  p.streams[0].engine = EngineKind::Load;
  p.streams[0].code = {{K::LoopBegin, 0}, {K::Wait, 1},   {K::Advance, 0},
                       {K::Run, 0},       {K::Signal, 0}, {K::LoopEnd, 0}};
  p.streams[1].engine = EngineKind::Vector;
  p.streams[1].code = {{K::LoopBegin, 0}, {K::Wait, 0},    {K::Wait, 3},
                       {K::Advance, 0},   {K::Advance, 1}, {K::Run, 1},
                       {K::Signal, 1},    {K::Signal, 2},  {K::LoopEnd, 0}};
  p.streams[2].engine = EngineKind::Store;
  p.streams[2].code = {{K::LoopBegin, 0}, {K::Wait, 2},   {K::Advance, 1},
                       {K::Run, 2},       {K::Signal, 3}, {K::LoopEnd, 0}};
  return p;
}

llvm::Expected<SimulationResult> simulate(const Program &program, int64_t drop, uint64_t shuffle) {
  auto machine = loadMachine("edge");
  if (!machine)
    return machine.takeError();
  std::vector<int8_t> x(kTiles * kTileBytes);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = int8_t(i * 7);
  SimulationOptions options;
  options.checkHazards = true;
  options.dropInstruction = drop;
  options.shuffleSeed = shuffle;
  Tensor input = Tensor::of<int8_t>(ElementType::Int8, {int64_t(x.size())}, x);
  return npucc::simulate(program, *machine, {{"x", input}}, options);
}

} // namespace

TEST_CASE("a double-buffered pipeline is right in any order", "[hazards][pipeline]") {
  Program p = pipeline();
  for (uint64_t shuffle : {0, 1, 2, 3, 4}) {
    auto result = simulate(p, -1, shuffle);
    INFO((result ? "" : llvm::toString(result.takeError())));
    REQUIRE(bool(result));
    for (const Hazard &hazard : result->hazards)
      FAIL(hazard.text);
    llvm::ArrayRef<int8_t> y = result->outputs.at("y").values<int8_t>();
    for (size_t i = 0; i < y.size(); ++i)
      REQUIRE(int(y[i]) == int(int8_t(int8_t(i * 7) + 1)));
  }
}

TEST_CASE("every wait and every command is missed", "[hazards][pipeline]") {
  Program p = pipeline();
  // 0 wait, 1 load | 2 wait, 3 wait, 4 vector | 5 wait, 6 store
  for (int64_t drop = 0; drop < 7; ++drop) {
    INFO("without instruction " << drop);
    auto result = simulate(p, drop, 0);
    if (!result) {
      FAIL(llvm::toString(result.takeError()));
      continue;
    }
    REQUIRE_FALSE(result->hazards.empty());
  }
}
