//===- MatrixEngineTest.cpp - The matrix engine against Verilog ---------------===//
//
// The same GEMM, cut into the same commands, runs on the SystemC model and on the array in
// Verilog: equal sums, equal outputs, and every command complete in the same cycle after the
// first one's issue (docs/rtl.md).
//
//===----------------------------------------------------------------------===//

#include "simulator/core/Simulator.h"
#include "tests/rtl/EngineModel.h"
#include "tests/simulator/TestMachine.h"

#include "Vengine_16x16_0.h"
#include "Vengine_16x16_1.h"
#include "Vengine_8x16_0.h"
#include "Vengine_8x16_1.h"
#include "Vengine_8x8_0.h"
#include "Vengine_8x8_1.h"

#include <catch2/catch.hpp>

#include <random>

using namespace npucc;
using namespace npucc::test;

namespace {

struct Block {
  int64_t at, size;
};

/// A GEMM of int8 matrices, both by rows, and how it is cut into commands.
struct Gemm {
  int64_t m, n, k;
  std::vector<Block> mBlocks, nBlocks, kBlocks;
  bool emits;     ///< the last command of each block of sums writes outputs
  bool oneBuffer; ///< all blocks use the same accumulators: only the last one's sums remain
  int64_t loadBytes, outElements;
  std::vector<int8_t> a, b;
};

class Draw {
public:
  explicit Draw(uint32_t seed) : random(seed) {}
  int64_t upTo(int64_t limit) { return static_cast<int64_t>(random() % limit) + 1; }
  bool oneIn(int64_t n) { return upTo(n) == 1; }
  /// One to three pieces.
  std::vector<Block> cut(int64_t extent) {
    std::vector<int64_t> ends{extent};
    for (int64_t i = upTo(3); i > 1; --i)
      ends.push_back(upTo(extent));
    std::sort(ends.begin(), ends.end());
    std::vector<Block> blocks;
    int64_t at = 0;
    for (int64_t end : ends)
      if (end > at) {
        blocks.push_back({at, end - at});
        at = end;
      }
    return blocks;
  }
  std::vector<int8_t> values(int64_t count, int64_t limit) {
    std::vector<int8_t> v(static_cast<size_t>(count));
    for (int8_t &x : v)
      x = static_cast<int8_t>(upTo(2 * limit) - limit - 1);
    return v;
  }

private:
  std::mt19937 random;
};

Gemm drawGemm(uint32_t seed, int64_t cols) {
  Draw draw(seed);
  Gemm g;
  g.m = draw.oneIn(8) ? 1 : draw.upTo(200);
  g.n = draw.upTo(200);
  g.k = draw.upTo(200);
  g.mBlocks = draw.cut(g.m);
  g.nBlocks = draw.cut(g.n);
  g.kBlocks = draw.cut(g.k);
  g.emits = !draw.oneIn(5);
  g.oneBuffer = g.emits && draw.oneIn(2);
  g.loadBytes = draw.oneIn(2) ? cols : draw.upTo(2 * cols);
  g.outElements = draw.oneIn(2) ? cols : draw.upTo(cols);
  int64_t limit = draw.oneIn(2) ? 128 : 4; // small sums, so that not all outputs saturate
  g.a = draw.values(g.m * g.k, limit);
  g.b = draw.values(g.k * g.n, limit);
  return g;
}

/// The blocks' loops, in the order in which both sides run them.
template <class Run> void eachCommand(const Gemm &g, Run &&run) {
  for (const Block &m : g.mBlocks)
    for (const Block &n : g.nBlocks)
      for (const Block &k : g.kBlocks)
        run(m, n, k, k.at == 0, g.emits && k.at + k.size == g.k);
}

//===----------------------------------------------------------------------===//
// The SystemC model
//===----------------------------------------------------------------------===//

ProgramTensor tensor(const char *name, ProgramTensor::Kind kind, ElementType type, int64_t address,
                     int64_t elements) {
  ProgramTensor t;
  t.kind = kind;
  t.name = name;
  t.type = type;
  t.shape = {elements};
  t.strides = {bitWidth(type) / 8};
  t.address = address;
  t.bytes = elements * bitWidth(type) / 8;
  return t;
}

Tensor bytes(const std::vector<int8_t> &values) {
  Tensor t = Tensor::zeros(ElementType::Int8, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), t.mutableValues<int8_t>().begin());
  return t;
}

Machine engineMachine(int64_t rows, int64_t cols, bool shadow, const Gemm &g) {
  Machine m = machine();
  m.matrix.rows = rows;
  m.matrix.cols = cols;
  m.matrix.shadowWeights = shadow;
  m.matrix.weightLoadBytesPerCycle = g.loadBytes;
  m.matrix.outputElementsPerCycle = g.outElements;
  m.matrix.pipelineCycles = 5; // matrix_engine.sv names the registers
  // The ports are not the array's business: wide enough never to bind.
  m.scratchpad.readBytesPerCycle = m.scratchpad.writeBytesPerCycle = 4096;
  return m;
}

/// Loads both matrices, runs the commands, each as a layer of its own, and stores the results.
Program program(const Gemm &g) {
  constexpr int64_t kPlace = 1 << 18; // of each tensor
  using Kind = ProgramTensor::Kind;
  Program p;
  p.spmBytes = 3 * kPlace;
  p.accBytes = 4 * g.m * g.n;
  p.dramBytes = 4 * kPlace;
  p.tensors = {tensor("a", Kind::Input, ElementType::Int8, 0, g.m * g.k),
               tensor("b", Kind::Input, ElementType::Int8, kPlace, g.k * g.n),
               tensor("out", Kind::Output, ElementType::Int8, 2 * kPlace, g.m * g.n),
               tensor("sums", Kind::Output, ElementType::Int32, 3 * kPlace, g.m * g.n)};
  p.semaphores = {{0}, {0}};
  auto command = [&](CommandKind kind, size_t index) {
    auto layer = static_cast<int32_t>(p.layers.size());
    p.layers.push_back({"gemm", "MatMul", 0, false, -1, 0});
    p.commands.push_back({kind, layer, static_cast<uint32_t>(index)});
    return Instruction{Instruction::Kind::Run, static_cast<int32_t>(p.commands.size() - 1), false};
  };
  Stream matrix{EngineKind::Matrix, 0, {{Instruction::Kind::Wait, 0, false}}};
  eachCommand(g, [&](Block m, Block n, Block k, bool clears, bool emits) {
    MatrixCommand c = matmul(m.size, n.size, k.size);
    c.a = operand(Space::Spm, m.at * g.k + k.at, ElementType::Int8, {g.k, 0, 1});
    c.b = operand(Space::Spm, kPlace + k.at * g.n + n.at, ElementType::Int8, {0, 1, g.n});
    c.accumulator = operand(Space::Acc, g.oneBuffer ? 0 : 4 * (m.at * g.n + n.at),
                            ElementType::Int32, {4 * (g.oneBuffer ? n.size : g.n), 4, 0});
    c.out = operand(Space::Spm, 2 * kPlace + m.at * g.n + n.at, ElementType::Int8, {g.n, 1, 0});
    c.hasEpilogue = emits;
    c.epilogue.insts[0].isFloat = true; // saturates; sums below 2^24 are exact
    c.clearIf.always = clears;
    c.clearIf.equals = clears ? 0 : 1; // of a constant 0: never
    p.matrix.push_back(c);
    matrix.code.push_back(command(CommandKind::Matrix, p.matrix.size() - 1));
  });
  matrix.code.push_back({Instruction::Kind::Signal, 1, false});
  p.dma = {copy(Space::Dram, 0, Space::Spm, 0, g.m * g.k),
           copy(Space::Dram, kPlace, Space::Spm, kPlace, g.k * g.n),
           copy(Space::Spm, 2 * kPlace, Space::Dram, 2 * kPlace, g.m * g.n),
           copy(Space::Acc, 0, Space::Dram, 3 * kPlace, 4 * g.m * g.n)};
  Stream load{EngineKind::Load, 0, {}}, store{EngineKind::Store, 0, {}};
  store.code.push_back({Instruction::Kind::Wait, 1, false});
  for (size_t i : {0, 1})
    load.code.push_back(command(CommandKind::Dma, i));
  for (size_t i : {2, 3})
    store.code.push_back(command(CommandKind::Dma, i));
  load.code.push_back({Instruction::Kind::Signal, 0, false});
  p.streams = {load, matrix, store};
  return p;
}

/// A word of scratchpad that is hardly used may make the port the limit of a short command whose
/// weights come two rows at a time.
bool portBound(const Program &p, const Machine &m) {
  for (const MatrixCommand &c : p.matrix)
    if (matrixCost(c, {c.dims[0].extent, c.dims[1].extent, c.dims[2].extent}, true, c.hasEpilogue,
                   m)
            .bound != Bound::Matrix)
      return true;
  return false;
}

//===----------------------------------------------------------------------===//
// The array
//===----------------------------------------------------------------------===//

/// Commands and weights for the array; accumulator rows follow each other.
template <int Rows, int Cols>
void engineInput(const Gemm &g, std::vector<EngineCommand> &commands, std::vector<int8_t> &weights,
                 int64_t &accRows) {
  int64_t base = 0;
  accRows = 0;
  eachCommand(g, [&](Block m, Block n, Block k, bool clears, bool emits) {
    int64_t colTiles = (n.size + Cols - 1) / Cols;
    if (clears && !g.oneBuffer)
      base = accRows;
    accRows = std::max(accRows, base + colTiles * m.size);
    commands.push_back({m.size, n.size, k.size, m.at * g.k + k.at, g.k,
                        static_cast<int64_t>(weights.size()) / g.loadBytes, base, m.at * g.n + n.at,
                        g.n, clears, emits});
    for (int64_t n0 = 0; n0 < n.size; n0 += Cols)
      for (int64_t k0 = 0; k0 < k.size; k0 += Rows) {
        for (int64_t r = k0; r < std::min<int64_t>(k0 + Rows, k.size); ++r)
          for (int64_t c = n0; c < std::min<int64_t>(n0 + Cols, n.size); ++c)
            weights.push_back(g.b[static_cast<size_t>((k.at + r) * g.n + n.at + c)]);
        while (weights.size() % static_cast<size_t>(g.loadBytes))
          weights.push_back(0x5a); // a tile starts with a word
      }
  });
}

template <class V, int Rows, int Cols> void compare(bool shadow, uint32_t seed) {
  Gemm g = drawGemm(seed, Cols);
  Program p = program(g);
  Machine m = engineMachine(Rows, Cols, shadow, g);
  if (portBound(p, m))
    m.matrix.weightLoadBytesPerCycle = g.loadBytes = std::min<int64_t>(g.loadBytes, Cols);
  REQUIRE_FALSE(portBound(p, m));
  INFO(Rows << " x " << Cols << (shadow ? ", shadow weights" : "") << ", seed " << seed << ": "
            << g.m << " x " << g.n << " x " << g.k << " in " << p.matrix.size() << " commands, "
            << g.loadBytes << " bytes of weights and " << g.outElements << " outputs a cycle");

  llvm::Expected<SimulationResult> simulated =
      simulate(p, m, {{"a", bytes(g.a)}, {"b", bytes(g.b)}}, SimulationOptions());
  if (!simulated)
    FAIL(llvm::toString(simulated.takeError()));

  std::vector<EngineCommand> commands;
  std::vector<int8_t> weights;
  int64_t accRows = 0;
  engineInput<Rows, Cols>(g, commands, weights, accRows);
  int64_t limit = 4 * simulated->cycles + 10000;
  EngineRun rtl = EngineModel<V, Rows, Cols>().run(commands, g.a, weights, g.loadBytes,
                                                   g.outElements, g.m * g.n, accRows, limit);
  CHECK_FALSE(rtl.overflow);
  REQUIRE(rtl.ends.size() == commands.size());

  // Time: the end of every command.
  std::vector<int64_t> ends;
  for (size_t i = 0; i < commands.size(); ++i)
    ends.push_back(simulated->layers[i].lastCycle - simulated->layers[0].firstCycle);
  CHECK(ends == rtl.ends);

  // Values: outputs, and the sums that are left in the accumulators.
  if (g.emits) {
    const Tensor &out = simulated->outputs.at("out");
    bool same = true;
    for (int64_t i = 0; i < g.m * g.n; ++i)
      same &= out.asInt(i) == rtl.out[static_cast<size_t>(i)];
    CHECK(same);
  }
  const Tensor &sums = simulated->outputs.at("sums");
  bool same = true;
  size_t command = 0;
  eachCommand(g, [&](Block mb, Block nb, Block kb, bool, bool) {
    int64_t base = commands[command++].accBase;
    bool kept = !g.oneBuffer || command == commands.size();
    if (!kept || kb.at + kb.size != g.k)
      return;
    for (int64_t i = 0; i < mb.size; ++i)
      for (int64_t j = 0; j < nb.size; ++j) {
        auto row = static_cast<size_t>(base + j / Cols * mb.size + i);
        int64_t at = g.oneBuffer ? i * nb.size + j : (mb.at + i) * g.n + nb.at + j;
        same &= sums.asInt(at) == rtl.sums[row][static_cast<size_t>(j % Cols)];
      }
  });
  CHECK(same);
}

constexpr uint32_t kGemms = 100;

template <class Plain, class Shadow, int Rows, int Cols> void compareAll() {
  for (uint32_t seed = 1; seed <= kGemms; ++seed) {
    compare<Plain, Rows, Cols>(false, seed);
    compare<Shadow, Rows, Cols>(true, seed);
  }
}

} // namespace

TEST_CASE("rtl: 100 GEMMs on an 8x8 array", "[rtl]") {
  compareAll<Vengine_8x8_0, Vengine_8x8_1, 8, 8>();
}
TEST_CASE("rtl: 100 GEMMs on a 16x16 array", "[rtl]") {
  compareAll<Vengine_16x16_0, Vengine_16x16_1, 16, 16>();
}
TEST_CASE("rtl: 100 GEMMs on an 8x16 array", "[rtl]") {
  compareAll<Vengine_8x16_0, Vengine_8x16_1, 8, 16>();
}
