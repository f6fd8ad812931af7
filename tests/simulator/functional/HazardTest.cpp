//===- HazardTest.cpp - The hazard checker and footprints -----------------===//

#include "tests/simulator/functional/Bench.h"

#include "simulator/functional/Hazards.h"

#include <set>

using namespace npucc;
using namespace npucc::test;

namespace {

/// Two streams, a semaphore in each direction, commands named by stream.
struct Two {
  Program program;
  std::unique_ptr<HazardChecker> checker;

  explicit Two(int64_t free = 0) {
    program.dramBytes = 1 << 16;
    program.streams.resize(3);
    program.streams[0].engine = EngineKind::Load;
    program.streams[1].engine = EngineKind::Matrix;
    program.streams[2].engine = EngineKind::Vector;
    program.semaphores = {{0}, {free}};
    program.layers.resize(1);
    program.layers[0].node = "conv1";
    for (int s = 0; s < 3; ++s) {
      program.commands.push_back({CommandKind::Dma, 0, 0});
      program.streams[s].code.push_back({Instruction::Kind::Run, s, false});
    }
    checker = std::make_unique<HazardChecker>(program, 1 << 16, 1 << 12);
  }
  void run(int stream, bool write, int64_t base, int64_t bytes, Space space = Space::Spm) {
    Footprint f;
    f.space = space;
    f.write = write;
    f.base = base;
    f.extents = {bytes};
    f.strides = {1};
    checker->run(stream, stream, f);
  }
  size_t count() const { return checker->hazards().size(); }
  std::string first() const { return count() ? checker->hazards()[0].text : ""; }
};

} // namespace

TEST_CASE("a wait orders a read after a write", "[hazards]") {
  Two two;
  two.run(0, true, 100, 50);
  bool waits = GENERATE(true, false);
  if (waits) {
    two.checker->signal(0, 0);
    two.checker->wait(1, 0);
  }
  two.run(1, false, 120, 10);
  REQUIRE(two.count() == (waits ? 0 : 1));
  if (!waits)
    CHECK(two.first() ==
          "unordered read after write: matrix 0 instruction 1 ('conv1') reads scratchpad bytes 120 "
          "to 129, which load 0 instruction 0 ('conv1') writes; no wait orders them");
}

TEST_CASE("order is transitive, and only through signals given after the access", "[hazards]") {
  Two two;
  two.run(0, true, 0, 64);
  two.checker->signal(0, 0);
  two.run(0, true, 64, 64); // after the signal
  two.checker->wait(1, 0);
  two.run(1, false, 0, 64);
  CHECK(two.count() == 0);
  two.checker->signal(1, 1);
  two.checker->wait(2, 1); // knows what stream 1 knew of stream 0
  two.run(2, true, 0, 64);
  CHECK(two.count() == 0);
  two.run(2, false, 64, 1);
  CHECK_THAT(two.first(), Catch::Contains("bytes 64 to 64"));
}

TEST_CASE("double buffering: the k-th wait takes signal k - n", "[hazards]") {
  int64_t slots = 2;
  int missing = GENERATE(-1, 0, 1);
  Two two(missing == 1 ? slots + 1 : slots); // 1: one token too many
  for (int i = 0; i < 6; ++i) {
    two.checker->wait(0, 1);
    two.run(0, true, i % slots * 128, 128);
    two.checker->signal(0, 0);
    if (missing != 0)
      two.checker->wait(1, 0);
    two.run(1, false, i % slots * 128, 128);
    two.checker->signal(1, 1);
  }
  if (missing < 0)
    CHECK(two.count() == 0);
  else
    CHECK_THAT(two.first(),
               Catch::Contains(missing == 0 ? "read after write" : "write after read"));
}

TEST_CASE("all kinds of conflict, to the byte", "[hazards]") {
  Two two;
  two.run(0, true, 10, 1);
  two.run(1, true, 11, 1); // the neighbour: no false sharing
  CHECK(two.count() == 0);
  two.run(1, true, 10, 2);
  CHECK_THAT(two.first(), Catch::Contains("write after write") && Catch::Contains("10 to 10"));
  two.run(1, true, 10, 2); // the same pair is reported once
  CHECK(two.count() == 1);
  two.run(2, false, 4090, 10);
  CHECK_THAT(two.checker->hazards()[1].text,
             Catch::Contains("undefined bytes: vector 0 instruction 2"));
  two.run(1, false, 200, 1, Space::Acc);
  CHECK_THAT(two.checker->hazards()[2].text, Catch::Contains("accumulator bytes 200 to 200"));
}

TEST_CASE("flows that another run did not have", "[hazards]") {
  // Stream 0 clears a tile with its padding, stream 1 fills the inside, stream 2 reads it all.
  auto tile = [](Two &two, bool clears, bool fills) {
    if (clears)
      two.run(0, true, 0, 100);
    two.checker->signal(0, 0);
    two.checker->wait(1, 0);
    if (fills)
      two.run(1, true, 10, 80);
    two.checker->signal(1, 1);
    two.checker->wait(2, 1);
    two.run(2, false, 0, 100);
  };
  Two whole;
  whole.checker->recordFlows();
  tile(whole, true, true);
  CHECK(whole.count() == 0);
  auto flows = std::make_shared<const FlowSet>(whole.checker->takeFlows());
  CHECK(flows->size() == 2);
  SECTION("the same") {
    Two two;
    two.checker->expectFlows(flows);
    tile(two, true, true);
    CHECK(two.count() == 0);
  }
  SECTION("more bytes of a writer") {
    Two two;
    two.checker->expectFlows(flows);
    tile(two, true, false);
    CHECK(two.first() == "unexpected flow: vector 0 instruction 2 ('conv1') reads more bytes last "
                         "written by load 0 instruction 0 ('conv1') than the whole program does at "
                         "that point");
  }
  SECTION("an earlier run of a writer") {
    Two two;
    two.checker->expectFlows(flows);
    tile(two, true, true);
    two.run(2, false, 20, 10); // the whole program reads only once
    CHECK(two.count() == 1);
    CHECK_THAT(two.first(), Catch::Contains("scratchpad bytes 20 to 29 last written by matrix 0"));
  }
  SECTION("bytes that nothing wrote are reported as such") {
    Two two;
    two.checker->expectFlows(flows);
    tile(two, false, true);
    CHECK(two.count() == 1);
    CHECK_THAT(two.first(), Catch::Contains("undefined bytes"));
  }
}

TEST_CASE("inputs and constants are defined, outputs must be", "[hazards]") {
  Program program;
  program.dramBytes = 1 << 14;
  program.streams.resize(1);
  program.streams[0].code.push_back({Instruction::Kind::Run, 0, false});
  program.commands.push_back({CommandKind::Dma, -1, 0});
  auto tensor = [&](ProgramTensor::Kind kind, const char *name, int64_t address, int64_t bytes) {
    ProgramTensor t;
    t.kind = kind;
    t.name = name;
    t.type = ElementType::Uint8;
    t.shape = {bytes};
    t.strides = {1};
    t.address = address;
    t.bytes = bytes;
    program.tensors.push_back(t);
  };
  tensor(ProgramTensor::Kind::Input, "x", 3, 5000);
  tensor(ProgramTensor::Kind::Constant, "w", 6000, 5000);
  tensor(ProgramTensor::Kind::Output, "y", 12000, 100);
  HazardChecker checker(program, 64, 64);
  auto run = [&](bool write, int64_t base, int64_t bytes) {
    Footprint f;
    f.space = Space::Dram;
    f.write = write;
    f.base = base;
    f.extents = {bytes};
    f.strides = {1};
    checker.run(0, 0, f);
  };
  run(false, 3, 5000);
  run(false, 6000, 5000);
  run(true, 12000, 99);
  CHECK(checker.hazards().empty());
  SECTION("before an input") {
    run(false, 2, 4);
    CHECK_THAT(checker.hazards().at(0).text, Catch::Contains("bytes 2 to 2, which nothing wrote"));
  }
  SECTION("a constant is overwritten") {
    run(true, 10999, 10);
    CHECK_THAT(checker.hazards().at(0).text, Catch::Contains("overwritten constant"));
  }
  SECTION("a byte of the output is missing") {
    checker.finish();
    CHECK_THAT(checker.hazards().at(0).text,
               Catch::Contains("output 'y'") && Catch::Contains("12099 to 12099"));
  }
}

namespace {

std::set<int64_t> bytesOf(llvm::ArrayRef<Footprint> footprints, bool write) {
  std::set<int64_t> bytes;
  for (const Footprint &f : footprints)
    if (f.write == write)
      eachPoint(f.extents, [&](llvm::ArrayRef<int64_t> i) {
        for (int64_t b = 0; b < f.elementBytes; ++b)
          bytes.insert(f.base + dot(f.strides, i) + b);
      });
  return bytes;
}

} // namespace

TEST_CASE("footprints of guarded windows are exact", "[hazards][footprint]") {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    int64_t stride = pick(random, 1, 4), dilation = pick(random, 1, 3), pad = pick(random, 0, 3);
    int64_t sign = random() % 5 ? 1 : -1; // a mirrored kernel
    VectorCommand v;
    v.dims = {dim(pick(random, 1, 5)), dim(pick(random, 1, 6)), dim(pick(random, 1, 4), true),
              dim(pick(random, 1, 6)), dim(pick(random, 1, 3), true)};
    int64_t h = pick(random, 1, 12), w = pick(random, 1, 12);
    v.inputs = {
        operand(Space::Spm, 4096, ElementType::Int16,
                {h * w * 2, stride * w * 2, sign * dilation * w * 2, stride * 2, dilation * 2})};
    Guard gy, gx;
    gy.start.constant = gx.start.constant = -pad;
    gy.coefficients = {0, stride, sign * dilation, 0, 0};
    gx.coefficients = {0, 0, 0, stride, dilation};
    if (random() % 8 == 0)
      gx.coefficients[1] = 1; // a coordinate of two dimensions that another guard has too
    gy.bound = h;
    gx.bound = w;
    v.inputs[0].guards = {gy, gx};
    v.outputs = {operand(Space::Dram, 0, ElementType::Int16, {512, 64, 0, 2, 0})};
    v.body = body({inst(BodyOp::Input, false, 0)}, {0});
    Bench bench(1 << 14);
    bench.add(v);
    FunctionalMemory memory(bench.program, 1 << 14, 0);
    llvm::SmallVector<Footprint, 4> footprints;
    memory.footprints(bench.program.commands[0], bench.state, footprints);
    std::set<int64_t> reads, writes;
    llvm::SmallVector<int64_t, 8> extents;
    clippedExtents(v.dims, bench.state, extents);
    eachPoint(extents, [&](llvm::ArrayRef<int64_t> i) {
      for (int64_t b : {0, 1})
        writes.insert(dot(v.outputs[0].strides, i) + b);
      for (const Guard &g : v.inputs[0].guards) {
        int64_t at = g.start.constant + dot(g.coefficients, i);
        if (at < 0 || at >= g.bound)
          return;
      }
      for (int64_t b : {0, 1})
        reads.insert(4096 + dot(v.inputs[0].strides, i) + b);
    });
    REQUIRE(bytesOf(footprints, false) == reads);
    REQUIRE(bytesOf(footprints, true) == writes);
    // The checker's merging of dimensions visits the same bytes: all of them undefined.
    bench.program.streams.resize(1);
    for (int64_t byte : reads)
      if (!reads.count(byte - 1)) { // one run at a time
        HazardChecker checker(bench.program, 1 << 14, 0);
        Footprint all;
        all.write = true;
        all.extents = {1 << 14};
        all.strides = {1};
        checker.run(0, 0, all);
        checker.run(0, 0, footprints);
        REQUIRE(checker.hazards().empty());
        break;
      }
  }
}

TEST_CASE("a gap of one byte between written tiles is found", "[hazards]") {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    Two two;
    int64_t missing = pick(random, 0, 8191);
    for (int64_t at = 0; at < 8192;) { // written in random pieces, but for one byte
      int64_t bytes = std::min(pick(random, 1, 200), 8192 - at);
      if (random() % 2)
        bytes = std::min((bytes + 63) / 64 * 64, 8192 - at);
      if (at <= missing && missing < at + bytes) {
        if (missing > at)
          two.run(0, true, at, missing - at);
        if (missing + 1 < at + bytes)
          two.run(0, true, missing + 1, at + bytes - missing - 1);
      } else {
        two.run(0, true, at, bytes);
      }
      at += bytes;
    }
    two.run(0, false, 0, 8192);
    REQUIRE_THAT(two.first(), Catch::Contains("bytes " + std::to_string(missing) + " to " +
                                              std::to_string(missing) + ","));
    REQUIRE(two.count() == 1);
  }
}
