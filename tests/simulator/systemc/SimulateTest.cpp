//===- SimulateTest.cpp - Streams, semaphores, pipelines, copies ----------===//

#include "simulator/core/Simulator.h"
#include "tests/simulator/TestMachine.h"

#include <catch2/catch.hpp>

using namespace npucc;
using namespace npucc::test;

namespace {

/// Puts small programs together.
struct Builder {
  Program p;

  Builder() {
    p.spmBytes = 1 << 20;
    p.accBytes = 1 << 16;
    p.dramBytes = 1 << 26;
    p.layers.push_back({"conv", "Conv", 0, false, -1, 0});
  }
  int32_t add(CommandKind kind, size_t index) {
    p.commands.push_back({kind, 0, static_cast<uint32_t>(index)});
    return static_cast<int32_t>(p.commands.size() - 1);
  }
  int32_t dma(const DmaCommand &c) {
    p.dma.push_back(c);
    return add(CommandKind::Dma, p.dma.size() - 1);
  }
  int32_t matrix(const MatrixCommand &c) {
    p.matrix.push_back(c);
    return add(CommandKind::Matrix, p.matrix.size() - 1);
  }
  int32_t vector(const VectorCommand &c) {
    p.vector.push_back(c);
    return add(CommandKind::Vector, p.vector.size() - 1);
  }
  int32_t semaphore(int64_t initial = 0) {
    p.semaphores.push_back({initial});
    return static_cast<int32_t>(p.semaphores.size() - 1);
  }
  int32_t loop(int64_t trips) {
    p.loops.push_back({trips});
    return static_cast<int32_t>(p.loops.size() - 1);
  }
  void stream(EngineKind engine, std::vector<Instruction> code) {
    p.streams.push_back({engine, 0, std::move(code)});
  }
};

Instruction run(int32_t i) { return {Instruction::Kind::Run, i, false}; }
Instruction wait(int32_t i) { return {Instruction::Kind::Wait, i, false}; }
Instruction signal(int32_t i) { return {Instruction::Kind::Signal, i, false}; }
Instruction begin(int32_t i) { return {Instruction::Kind::LoopBegin, i, false}; }
Instruction end(int32_t i) { return {Instruction::Kind::LoopEnd, i, false}; }

SimulationResult simulated(const Program &p, const Machine &m, SimulationOptions options = {}) {
  options.functional = false;
  llvm::Expected<SimulationResult> result = simulate(p, m, {}, options);
  if (!result)
    FAIL(llvm::toString(result.takeError()));
  return std::move(*result);
}

std::string failure(const Program &p, const Machine &m) {
  SimulationOptions options;
  options.functional = false;
  llvm::Expected<SimulationResult> result = simulate(p, m, {}, options);
  REQUIRE(!result);
  return llvm::toString(result.takeError());
}

/// `trips` tiles of `bytes` through load, vector and store, with `slots` buffers between.
Program tiles(int64_t trips, int64_t slots, int64_t points) {
  Builder b;
  VectorCommand v = add(points);
  int32_t free = b.semaphore(slots), loaded = b.semaphore(), computed = b.semaphore(),
          outFree = b.semaphore(slots);
  int32_t l = b.loop(trips), k = b.loop(trips), s = b.loop(trips);
  DmaCommand in = copy(Space::Dram, 0, Space::Spm, 0, 2 * points);
  in.source.offset.terms.push_back({l, 2 * points});
  DmaCommand out = copy(Space::Spm, 2 * points, Space::Dram, 1 << 25, points);
  out.target.offset.terms.push_back({s, points});
  int32_t load = b.dma(in), store = b.dma(out), compute = b.vector(v);
  b.stream(EngineKind::Load, {begin(l), wait(free), run(load), signal(loaded), end(l)});
  b.stream(EngineKind::Vector, {begin(k), wait(loaded), wait(outFree), run(compute), signal(free),
                                signal(computed), end(k)});
  b.stream(EngineKind::Store, {begin(s), wait(computed), run(store), signal(outFree), end(s)});
  return b.p;
}

} // namespace

TEST_CASE("simulate: one command takes its latency", "[systemc]") {
  Builder b;
  b.stream(EngineKind::Matrix, {run(b.matrix(matmul(100, 64, 64)))});
  SimulationResult r = simulated(b.p, machine());
  CHECK(r.cycles == 100 + 64 + 126 + 4);
  CHECK(r.commands == 1);
  CHECK(r.layers[0].busyCycles[static_cast<size_t>(EngineKind::Matrix)] == 100);
  CHECK(r.layers[0].firstCycle == 0);
  CHECK(r.layers[0].lastCycle == r.cycles);
  CHECK(r.actions[Action::MacInt8] == 100 * 64 * 64);
}

TEST_CASE("simulate: commands of one engine pipeline", "[systemc]") {
  Builder b;
  int32_t loop = b.loop(10);
  b.stream(EngineKind::Matrix, {begin(loop), run(b.matrix(matmul(100, 64, 64))), end(loop)});
  SimulationResult r = simulated(b.p, machine());
  CHECK(r.cycles == 10 * 100 + 64 + 126 + 4);
  CHECK(r.layers[0].busyCycles[static_cast<size_t>(EngineKind::Matrix)] == 1000);
}

TEST_CASE("simulate: a signal waits for completion but holds nothing back", "[systemc]") {
  Builder b;
  int32_t done = b.semaphore(), m = b.matrix(matmul(100, 64, 64)), v = b.vector(add(64));
  b.stream(EngineKind::Matrix, {run(m), signal(done), run(m)});
  b.stream(EngineKind::Vector, {wait(done), run(v)});
  SimulationOptions options;
  options.recordTrace = true;
  SimulationResult r = simulated(b.p, machine(), options);
  REQUIRE(r.trace.size() == 3);
  for (const TraceEvent &event : r.trace) {
    if (event.stream == 1)
      CHECK(event.startCycle == 294); // the first product is complete
    else
      CHECK((event.startCycle == 64 || event.startCycle == 164));
  }
  CHECK(r.cycles == 100 + 294);
}

TEST_CASE("simulate: double buffers overlap load, compute and store", "[systemc]") {
  Machine m = machine();
  SimulationResult one = simulated(tiles(50, 1, 4096), m);
  SimulationResult two = simulated(tiles(50, 2, 4096), m);
  SimulationResult three = simulated(tiles(50, 3, 4096), m);
  CHECK(two.cycles < one.cycles);
  CHECK(three.cycles <= two.cycles);
  // 50 loads of 8 KiB and stores of 4 KiB through 51.2 bytes a cycle.
  CHECK(static_cast<double>(three.cycles) > 50 * 12288 / 51.2);
  CHECK(static_cast<double>(three.cycles) < 1.6 * 50 * 12288 / 51.2);
  CHECK(one.commands == 150);
  CHECK(one.actions[Action::DramReadByte] == 50 * 8192);
  CHECK(one.actions[Action::DramWriteByte] == 50 * 4096);
  CHECK(one.actions[Action::DramActivate] > 0);
  double byLayer = 0;
  for (const LayerResult &layer : one.layers)
    byLayer += layer.actions[Action::DramActivate];
  CHECK(byLayer == one.actions[Action::DramActivate]);
}

TEST_CASE("simulate: runs are deterministic", "[systemc]") {
  Program p = tiles(20, 2, 2048);
  SimulationResult a = simulated(p, machine()), b = simulated(p, machine());
  CHECK(a.cycles == b.cycles);
  CHECK(a.actions.count == b.actions.count);
  // The order in which SystemC runs the processes of one cycle changes nothing.
  for (uint64_t seed = 1; seed < 20; ++seed) {
    SimulationOptions shuffled;
    shuffled.shuffleSeed = seed;
    SimulationResult c = simulated(p, machine(), shuffled);
    CHECK(c.commands == a.commands);
    CHECK(c.cycles == a.cycles);
    CHECK(c.actions.count == a.actions.count);
  }
}

TEST_CASE("simulate: a copy streams at the speed of DRAM", "[systemc]") {
  Builder b;
  constexpr int64_t kBytes = 1 << 19;
  int32_t loop = b.loop(16);
  DmaCommand c = copy(Space::Dram, 0, Space::Spm, 0, kBytes);
  c.source.offset.terms.push_back({loop, kBytes});
  b.stream(EngineKind::Load, {begin(loop), run(b.dma(c)), end(loop)});
  SimulationResult r = simulated(b.p, machine());
  double share = 16.0 * kBytes / 51.2 / static_cast<double>(r.cycles);
  CHECK(share > 0.89);
  CHECK(share <= 1 - 280 / 3906.25);
  CHECK(r.layers[0].boundCycles[static_cast<size_t>(Bound::Dram)] > 0);
  // A narrow datapath limits it instead.
  Machine narrow = machine();
  narrow.dma.bytesPerCycle = 16;
  SimulationResult n = simulated(b.p, narrow);
  CHECK(static_cast<double>(n.cycles) >= 16.0 * kBytes / 16);
  CHECK(static_cast<double>(n.cycles) < 16.0 * kBytes / 16 * 1.01);
  CHECK(n.layers[0].boundCycles[static_cast<size_t>(Bound::Noc)] > 0);
}

TEST_CASE("simulate: two channels share DRAM", "[systemc]") {
  Builder one, two;
  for (Builder *b : {&one, &two}) {
    int32_t c = b->dma(copy(Space::Dram, 0, Space::Spm, 0, 1 << 18));
    b->stream(EngineKind::Load, {run(c)});
  }
  int32_t c = two.dma(copy(Space::Dram, 1 << 20, Space::Spm, 1 << 18, 1 << 18));
  two.stream(EngineKind::Load, {run(c)});
  two.p.streams[1].channel = 1;
  int64_t alone = simulated(one.p, machine()).cycles;
  int64_t shared = simulated(two.p, machine()).cycles;
  CHECK(static_cast<double>(shared) > 1.8 * static_cast<double>(alone));
  CHECK(static_cast<double>(shared) < 2.3 * static_cast<double>(alone));
}

TEST_CASE("simulate: engines share the scratchpad ports", "[systemc]") {
  Builder b;
  int32_t loop = b.loop(100), v = b.vector(add(6400));
  b.stream(EngineKind::Vector, {begin(loop), run(v), end(loop)});
  Machine m = machine();
  int64_t alone = simulated(b.p, m).cycles;
  int32_t other = b.loop(100);
  b.stream(EngineKind::Vector, {begin(other), run(v), end(other)});
  // Each alone takes the whole write port.
  int64_t shared = simulated(b.p, m).cycles;
  CHECK(static_cast<double>(shared) > 1.9 * static_cast<double>(alone));
  m.scratchpad.readBytesPerCycle *= 2;
  m.scratchpad.writeBytesPerCycle *= 2;
  CHECK(static_cast<double>(simulated(b.p, m).cycles) < 1.1 * static_cast<double>(alone));
}

TEST_CASE("simulate: more hardware is never slower", "[systemc]") {
  Program p = tiles(30, 2, 4096);
  Machine base = machine();
  base.dma.bytesPerCycle = 32;
  int64_t cycles = simulated(p, base).cycles;
  auto notSlower = [&](auto &&change) {
    Machine better = base;
    change(better);
    CHECK(simulated(p, better).cycles <= cycles);
  };
  notSlower([](Machine &m) { m.dma.bytesPerCycle = 64; });
  notSlower([](Machine &m) { m.dma.setupCycles = 4; });
  notSlower([](Machine &m) { m.dramWidthBits = 128; });
  notSlower([](Machine &m) { m.vector.lanes = 256; });
  notSlower([](Machine &m) { m.scratchpad.readBytesPerCycle = 512; });
  notSlower([](Machine &m) { m.scratchpad.writeBytesPerCycle = 256; });
}

TEST_CASE("simulate: rings and clipped extents", "[systemc]") {
  Builder b;
  // 10 tiles of 100 over 950: the last one has 50.
  int32_t loop = b.loop(10);
  VectorCommand v = add(100);
  v.dims[0].clipped = true;
  v.dims[0].bound = 950;
  v.dims[0].start.terms.push_back({loop, 100});
  int32_t id = b.vector(v);
  b.p.rings.push_back({2, 1024});
  b.stream(EngineKind::Vector,
           {begin(loop), {Instruction::Kind::Advance, 0, false}, run(id), end(loop)});
  SimulationResult r = simulated(b.p, machine());
  CHECK(r.actions[Action::VectorOp] == 950);
  CHECK(r.cycles == 9 * 2 + 1 + 16);
}

TEST_CASE("simulate: a deadlock names its waits", "[systemc]") {
  Builder b;
  int32_t s = b.semaphore(), t = b.semaphore(), v = b.vector(add(64));
  b.stream(EngineKind::Vector, {wait(s), run(v), signal(t)});
  b.stream(EngineKind::Matrix, {wait(t), signal(s)});
  std::string text = failure(b.p, machine());
  CHECK(text.find("deadlock") != std::string::npos);
  CHECK(text.find("stream 0 (vector 0) waits for semaphore 0") != std::string::npos);
  CHECK(text.find("'conv'") != std::string::npos);
  CHECK(text.find("stream 1 (matrix 0) waits for semaphore 1") != std::string::npos);
  // The next run starts afresh.
  CHECK(simulated(tiles(2, 1, 64), machine()).commands == 6);
}

TEST_CASE("simulate: dropped instructions", "[systemc]") {
  Program p = tiles(5, 2, 64);
  SimulationOptions options;
  options.dropInstruction = 1; // stream 0: wait 0, run 1
  CHECK(simulated(p, machine(), options).commands == 10);
  options.dropInstruction = 0;
  CHECK(simulated(p, machine(), options).commands == 15);
  // Stream 1: waits 2 and 3, run 4. Without the wait, computing does not follow the loads.
  options.dropInstruction = 4;
  CHECK(simulated(p, machine(), options).commands == 10);
}

TEST_CASE("simulate: host operators take the control core", "[systemc]") {
  Builder b;
  ProgramTensor t;
  t.name = "x";
  t.type = ElementType::Float32;
  t.shape = {1000};
  t.strides = {4};
  t.bytes = 4000;
  b.p.tensors = {t};
  Node node;
  node.opType = "NonZero";
  b.p.hostNodes = {node};
  b.p.host.push_back({0, {0}, {0}, {}});
  b.stream(EngineKind::Control, {run(b.add(CommandKind::Host, 0))});
  SimulationResult r = simulated(b.p, machine());
  CHECK(r.cycles >= 1000);
  CHECK(r.layers[0].boundCycles[static_cast<size_t>(Bound::Host)] > 0);
  CHECK(r.actions[Action::HostByte] == 8000);
}

TEST_CASE("simulate: resident weights load in no time", "[systemc]") {
  Builder b;
  ProgramTensor w;
  w.kind = ProgramTensor::Kind::Constant;
  w.name = "w";
  w.type = ElementType::Int8;
  w.shape = {1 << 16};
  w.strides = {1};
  w.bytes = 1 << 16;
  w.recipe = 0;
  b.p.tensors = {w};
  Recipe leaf;
  leaf.data = Tensor::zeros(ElementType::Int8, {1 << 16});
  b.p.recipes = {leaf};
  b.stream(EngineKind::Load, {run(b.dma(copy(Space::Dram, 0, Space::Spm, 0, 1 << 16)))});
  SimulationOptions options;
  options.residentWeights = true;
  SimulationResult cold = simulated(b.p, machine());
  SimulationResult warm = simulated(b.p, machine(), options);
  CHECK(cold.cycles > 1000);
  CHECK(warm.cycles < 50);
  CHECK(warm.residentBytes == 1 << 16);
  CHECK(warm.residentLoadCycles > (1 << 16) / 52);
  CHECK(warm.actions[Action::DramReadByte] == 0);
  Machine small = machine();
  small.scratchpad.bytes = 1 << 20;
  b.p.spmBytes = 1 << 16;
  CHECK(static_cast<bool>(simulate(b.p, small, {}, options)));
  small.scratchpad.bytes = (1 << 16) - 64;
  b.p.spmBytes = 64;
  llvm::Expected<SimulationResult> tight = simulate(b.p, small, {}, options);
  CHECK(!tight);
  llvm::consumeError(tight.takeError());
}

TEST_CASE("simulate: data does not change the time", "[systemc]") {
  Program p = tiles(10, 2, 256);
  SimulationOptions options;
  options.functional = true;
  llvm::Expected<SimulationResult> data = simulate(p, machine(), {}, options);
  REQUIRE(static_cast<bool>(data));
  CHECK(data->cycles == simulated(p, machine()).cycles);
}
