//===- CopyTest.cpp - DMA and gather against naive loops ------------------===//

#include "tests/simulator/functional/Bench.h"

using namespace npucc;
using namespace npucc::test;

TEST_CASE("DMA boxes agree with naive loops", "[functional][dma]") {
  using T = ElementType;
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    const T types[] = {T::Int8, T::Float16, T::Float32, T::Int64};
    DmaCommand c;
    c.type = types[random() % 4];
    int64_t bytes = elementBytes(c.type), source = bytes, target = bytes;
    size_t rank = pick(random, 0, 4);
    c.dims.resize(rank);
    for (size_t d = rank; d-- > 0;) {
      auto &dim = c.dims[d];
      dim.extent = pick(random, 1, 7);
      dim.sourceStride = source;
      dim.targetStride = target;
      source *= dim.extent + (random() % 3 == 0);
      target *= dim.extent + (random() % 3 == 0);
      if (random() % 3 == 0) {
        dim.clipped = true;
        dim.bound = pick(random, 1, 9);
        dim.step = random() % 4 ? 1 : pick(random, 1, 2) ? 2 : -1;
        dim.start.constant = pick(random, -4, 4);
        dim.start.terms.push_back({1, 2});
      }
    }
    Bench bench(source + target);
    bench.state.loopValues[1] = pick(random, 0, 2);
    c.source = {Space::Dram, -1, {0, {}}};
    c.target = {Space::Dram, -1, {source, {}}};
    for (uint8_t &byte : bench.dram)
      byte = uint8_t(random());
    bench.add(c);
    auto expected = bench.dram;
    llvm::SmallVector<int64_t, 6> extents;
    for (auto &dim : c.dims)
      extents.push_back(dim.extent);
    eachPoint(extents, [&](llvm::ArrayRef<int64_t> index) {
      int64_t from = 0, to = source;
      for (size_t d = 0; d < rank; ++d) {
        int64_t at = evaluate(c.dims[d].start, bench.state) + index[d] * c.dims[d].step;
        if (c.dims[d].clipped && (at < 0 || at >= c.dims[d].bound))
          return;
        from += index[d] * c.dims[d].sourceStride;
        to += index[d] * c.dims[d].targetStride;
      }
      std::copy_n(&bench.dram[from], bytes, &expected[to]);
    });
    REQUIRE(bench.run() == expected);
  }
}

TEST_CASE("rings and loop variables move addresses", "[functional][dma]") {
  Bench bench(64);
  for (size_t i = 0; i < 64; ++i)
    bench.dram[i] = uint8_t(i);
  bench.program.rings[1] = {3, 8};
  bench.state.ringCounts[1] = 5; // slot 4 mod 3 = 1
  bench.state.loopValues[2] = 3;
  DmaCommand c;
  c.source = {Space::Dram, -1, {1, {{2, 4}}}}; // 1 + 4 * 3
  c.target = {Space::Dram, 1, {32, {}}};       // 32 + 8
  c.type = ElementType::Uint8;
  c.dims.push_back({2, 1, 1, false, 0, 1, {}});
  bench.add(c);
  auto got = bench.run();
  CHECK(int(got[40]) == 13);
  CHECK(int(got[41]) == 14);
}

TEST_CASE("copies through scratchpad, and beyond its end", "[functional][dma]") {
  Bench bench(64);
  bench.dram[5] = 42;
  bench.spmBytes = 32;
  bench.addCopy(Space::Dram, Space::Spm, 0, 32);
  CHECK(bench.tryRun() == "");
  bench.addCopy(Space::Dram, Space::Spm, 1, 32);
  CHECK_THAT(bench.tryRun(), Catch::Contains("bytes 1 to 33 of a memory of 32"));
}

TEST_CASE("gather copies rows by index", "[functional][gather]") {
  Bench bench(256);
  for (size_t i = 0; i < 256; ++i)
    bench.dram[i] = uint8_t(i);
  const int32_t indices[] = {4, 0, -1, 2};
  for (int64_t i = 0; i < 4; ++i)
    bench.put(100 + 4 * i, ElementType::Int32, indices[i]);
  GatherCommand g;
  g.indices = operand(Space::Dram, 100, ElementType::Int32, {4});
  g.indexDims = {dim(4)};
  g.axisSize = 5;
  g.axisStride = 6;
  g.source = {Space::Dram, -1, {10, {}}};
  g.target = {Space::Dram, -1, {200, {}}};
  g.targetIndexStrides = {3};
  g.type = ElementType::Uint8;
  g.row.push_back({3, 2, 1, false, 0, 1, {}});
  bench.add(g);
  auto got = bench.run();
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t j = 0; j < 3; ++j)
      CHECK(int(got[200 + 3 * i + j]) == 10 + 6 * ((indices[i] + 5) % 5) + 2 * j);
  bench.put(100, ElementType::Int32, 5);
  CHECK_THAT(bench.tryRun(), Catch::Contains("index 5 is outside an axis of 5"));
}
