//===- MatrixCostTest.cpp - Hand-made cycle counts of contractions --------===//

#include "simulator/cost/Cost.h"
#include "tests/simulator/TestMachine.h"

#include <catch2/catch.hpp>

#include <random>

using namespace npucc;
using namespace npucc::test;

namespace {

CommandCost cost(const MatrixCommand &command, const Machine &machine, bool clears = true,
                 bool epilogue = true) {
  llvm::SmallVector<int64_t, 8> extents;
  for (const LoopDim &d : command.dims)
    extents.push_back(d.extent);
  return matrixCost(command, extents, clears, epilogue, machine);
}

/// Convolution without padding over NHWC input with HWIO weights.
MatrixCommand convolution(int64_t oh, int64_t ow, int64_t k, int64_t r, int64_t s, int64_t c,
                          int64_t stride = 1) {
  MatrixCommand m = matmul(1, 1, 1);
  int64_t width = (ow - 1) * stride + s;
  m.dims = {dim(oh, LoopRole::Stream),      dim(ow, LoopRole::Stream),
            dim(k, LoopRole::OutChannel),   dim(r, LoopRole::Window, true),
            dim(s, LoopRole::Window, true), dim(c, LoopRole::InChannel, true)};
  m.a.strides = {width * c * stride, c * stride, 0, width * c, c, 1};
  m.b.strides = {0, 0, 1, s * c * k, c * k, k};
  m.accumulator.strides = {ow * k * 4, k * 4, 4, 0, 0, 0};
  m.out.strides = {ow * k, k, 1, 0, 0, 0};
  return m;
}

} // namespace

TEST_CASE("matrix: one full tile streams its pixels", "[cost]") {
  CommandCost c = cost(matmul(100, 64, 64), machine());
  CHECK(c.cycles == 100); // the 64 cycles of loading hide behind streaming
  // Load the first tile (64), skew across the array 63 + 63, 4 stages of pipeline.
  CHECK(c.latencyCycles == 100 + 64 + 126 + 4);
  // The next command's load may hide behind the streaming.
  CHECK(c.leadCycles == 64);
  CHECK(c.workCycles == 100);
  CHECK(c.overlapCycles == 100);
  CHECK(c.bound == Bound::Matrix);
}

TEST_CASE("matrix: ragged tiles load what they use", "[cost]") {
  Machine m = machine();
  // K = 70 = 64 + 6, N = 100 = 64 + 36. A row of weights takes a cycle, also one of 36.
  CHECK(cost(matmul(1, 100, 70), m).cycles == 64 + 6 + 64 + 6);
  CHECK(cost(matmul(50, 100, 70), m).cycles == 64 + 50 + 64 + 50);
  CHECK(cost(matmul(196, 100, 70), m).cycles == 4 * 196);
  // Half a row a cycle: 36 bytes need two, or 64 rows of them ceil(64 * 36 / 32).
  m.matrix.weightLoadBytesPerCycle = 32;
  CHECK(cost(matmul(1, 36, 64), m).cycles == 72);
  m.matrix.weightLoadBytesPerCycle = 64;
  m.matrix.shadowWeights = false;
  CHECK(cost(matmul(50, 100, 70), m).cycles == 4 * 50 + 64 + 6 + 64 + 6);
}

TEST_CASE("matrix: wider arithmetic is slower", "[cost]") {
  Machine m = machine();
  CHECK(cost(matmul(500, 64, 64, ElementType::BFloat16), m).cycles == 1000);
  CHECK(cost(matmul(500, 64, 64, ElementType::Float32), m).cycles == 4000);
  // What the machine lacks runs in the next wider format that it has.
  CHECK(cost(matmul(500, 64, 64, ElementType::Float16), m).cycles == 4000);
  CHECK(cost(matmul(500, 64, 64, ElementType::Int16), m).cycles == 4000);
  CHECK(cost(matmul(500, 64, 64, ElementType::Uint8), m).cycles == 500);
  MatrixCommand mixed = matmul(500, 64, 64, ElementType::BFloat16);
  mixed.b.type = ElementType::Int8;
  CHECK(cost(mixed, m).actions[Action::MacBf16] == 500.0 * 64 * 64);
}

TEST_CASE("matrix: convolution windows share the rows", "[cost]") {
  // 3 * 3 * 16 = 144 rows in tiles of 64, 64 and 16.
  CHECK(cost(convolution(14, 14, 64, 3, 3, 16), machine()).cycles == 3 * 196);
  // Depthwise as a batch of one-column tiles: 9 rows each.
  MatrixCommand d = convolution(8, 8, 1, 3, 3, 1);
  d.dims[2] = dim(32, LoopRole::Batch);
  d.a.strides[2] = 1;
  for (int i : {0, 1, 3, 4, 5})
    d.a.strides[static_cast<size_t>(i)] *= 32;
  CHECK(cost(d, machine()).cycles >= 32 * 64);
}

TEST_CASE("matrix: NVDLA's busy cycles", "[cost]") {
  // RTL of nv_small and nv_large: OW * OH * R * S * ceil(C / rows) * ceil(K / columns).
  struct {
    int64_t rows, cols, oh, ow, k, r, s, c;
  } shapes[] = {
      {8, 8, 7, 9, 16, 5, 3, 64}, {8, 8, 16, 16, 32, 3, 3, 30}, {64, 32, 14, 14, 48, 3, 3, 100}};
  for (const auto &x : shapes) {
    Machine m = machine();
    m.matrix.kind = MatrixKind::DotProduct;
    m.matrix.rowDims = {LoopRole::InChannel};
    m.matrix.rows = x.rows;
    m.matrix.cols = x.cols;
    m.matrix.weightLoadBytesPerCycle = 64;
    CommandCost c = cost(convolution(x.oh, x.ow, x.k, x.r, x.s, x.c), m);
    auto tiles = [](int64_t n, int64_t size) { return (n + size - 1) / size; };
    CHECK(c.cycles == x.oh * x.ow * x.r * x.s * tiles(x.c, x.rows) * tiles(x.k, x.cols));
    CHECK(c.latencyCycles < c.cycles + 64 + 16);
  }
}

TEST_CASE("matrix: scattered activations cost port words", "[cost]") {
  Machine m = machine();
  MatrixCommand c = matmul(256, 64, 64);
  CHECK(cost(c, m).bound == Bound::Matrix);
  // Channels 1 KiB apart and pixels 64 KiB apart: a 64-byte word brings one byte.
  c.a.strides = {65536, 0, 1024};
  CommandCost scattered = cost(c, m);
  CHECK(scattered.bound == Bound::Scratchpad);
  // 256 * 64 words of activations and 4096 bytes of weights through 128 bytes a cycle.
  CHECK(scattered.cycles == (256 * 64 * 64 + 4096) / 128);
  // Channel-major with contiguous pixels: each row's FIFO takes whole words.
  c.a.strides = {1, 0, 256};
  CHECK(cost(c, m).cycles == 256);
  // Every second pixel: half of each word.
  c.a.strides = {2, 0, 512};
  CommandCost half = cost(c, m);
  CHECK(half.readPortCycles == Approx((2 * 256 * 64 + 4096) / 128.0));
}

TEST_CASE("matrix: the output stage limits short reductions", "[cost]") {
  Machine m = machine();
  m.matrix.outputElementsPerCycle = 16;
  MatrixCommand c = matmul(100, 64, 8);
  CHECK(cost(c, m).cycles == 100 * 64 / 16);
  CHECK(cost(c, m, true, false).cycles == 100);
  // Four passes of 100; the last one's 100 rows leave in 4 cycles each, after 300 cycles.
  CommandCost deep = cost(matmul(100, 64, 256), m);
  CHECK(deep.workCycles == 300 + 400);
  // Two column tiles: the first one's outputs leave while the second one accumulates.
  CHECK(cost(matmul(100, 128, 256), m).workCycles == 700 + 400);
}

TEST_CASE("matrix: actions", "[cost]") {
  CommandCost c = cost(matmul(10, 100, 70), machine());
  CHECK(c.actions[Action::MacInt8] == 10 * 100 * 70);
  CHECK(c.actions[Action::WeightLoadByte] == 70 * 100);
  // Two reduction tiles: two writes; one read of partial sums and one by the output stage.
  CHECK(c.actions[Action::AccumulatorWriteByte] == 2 * 4 * 1000);
  CHECK(c.actions[Action::AccumulatorReadByte] == 2 * 4 * 1000);
  CHECK(c.actions[Action::OutputElement] == 1000);
  // Activations pass once per column tile.
  CHECK(c.actions[Action::ScratchpadReadByte] == 2 * 10 * 70 + 7000);
  CHECK(c.actions[Action::ScratchpadWriteByte] == 1000);
  CHECK(c.actions[Action::ControlCommand] == 1);
  CommandCost more = cost(matmul(10, 100, 70), machine(), false, false);
  CHECK(more.actions[Action::AccumulatorReadByte] == 2 * 4 * 1000);
  CHECK(more.actions[Action::OutputElement] == 0);
}

TEST_CASE("matrix: nothing to do costs the decoding", "[cost]") {
  MatrixCommand c = matmul(10, 10, 10);
  CommandCost empty = matrixCost(c, {10, 0, 10}, true, true, machine());
  CHECK(empty.cycles == 1);
  CHECK(empty.actions[Action::MacInt8] == 0);
}

TEST_CASE("matrix: more hardware is never slower", "[cost]") {
  std::mt19937 random(1);
  auto pick = [&](int64_t limit) { return static_cast<int64_t>(random() % limit) + 1; };
  for (int i = 0; i < 500; ++i) {
    MatrixCommand c =
        convolution(pick(20), pick(20), pick(200), pick(3), pick(3), pick(100), pick(2));
    Machine m = machine();
    m.matrix.rows = 16 << random() % 3;
    m.matrix.cols = 16 << random() % 3;
    m.matrix.weightLoadBytesPerCycle = pick(128);
    m.matrix.outputElementsPerCycle = pick(64);
    m.matrix.shadowWeights = random() % 2;
    CommandCost base = cost(c, m);
    CHECK(base.latencyCycles >= base.cycles);
    double peak =
        base.actions[Action::MacInt8] / static_cast<double>(m.matrix.rows * m.matrix.cols);
    CHECK(static_cast<double>(base.cycles) >= peak);
    auto notSlower = [&](auto &&change) {
      Machine better = m;
      change(better);
      CHECK(cost(c, better).cycles <= base.cycles);
    };
    notSlower([](Machine &x) { x.matrix.weightLoadBytesPerCycle += 7; });
    notSlower([](Machine &x) { x.matrix.outputElementsPerCycle += 3; });
    notSlower([](Machine &x) { x.matrix.shadowWeights = true; });
    notSlower([](Machine &x) { x.scratchpad.readBytesPerCycle *= 2; });
    notSlower([](Machine &x) { x.scratchpad.writeBytesPerCycle *= 2; });
    // A larger array ends with a larger tile, whose outputs hide behind nothing, and a bus fills
    // fewer of its wider rows in a cycle: it needs an output stage and a bus of its width.
    m.matrix.outputElementsPerCycle = 128;
    base = cost(c, m);
    notSlower([](Machine &x) { x.matrix.rows *= 2; });
    notSlower([](Machine &x) {
      x.matrix.cols *= 2;
      x.matrix.weightLoadBytesPerCycle *= 2;
    });
  }
}
