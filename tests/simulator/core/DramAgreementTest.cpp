//===- DramAgreementTest.cpp - The model against the exact scheduler ------===//

#include "tests/simulator/core/DramPatterns.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <iostream>

using namespace npucc;
using namespace npucc::test;

namespace {

using Order = Traffic::Order;

const char *const kJudged[] = {"LPDDR5-6400", "DDR5-4800", "GDDR6-14000", "HBM3-6400"};
const char *const kStandards[] = {"LPDDR5-6400", "DDR5-4800",   "GDDR6-14000", "HBM3-6400",
                                  "HBM2-2400",   "DDR4-3200",   "LPDDR4-4266", "DDR5-6400",
                                  "HBM2E-3200",  "LPDDR5X-8533"};

/// What a set of patterns has shown.
struct Summary {
  int64_t patterns = 0, differ = 0;
  double worst = 0;
  std::string text;

  ~Summary() {
    std::cout << "dram: " << text << ": " << patterns << " patterns, " << differ
              << " with another finish time, worst " << 100 * worst << " %\n";
  }
};

/// Both sides have the same policy and take the same time: a clock more or fewer is a fault.
void compare(const Machine &m, const Traffic &t, Summary &summary) {
  const Outcome model = runModel(m, t), exact = runScheduler(m, t);
  const double error =
      std::fabs(static_cast<double>(model.clocks) / static_cast<double>(exact.clocks) - 1);
  ++summary.patterns;
  summary.differ += model.clocks != exact.clocks;
  summary.worst = std::max(summary.worst, error);
  INFO(m.dramStandard << (m.dramRefreshPerBank ? ", per-bank refresh" : "") << ", "
                      << m.dramChannels << " channels: " << t.text() << ", skew " << t.skew
                      << ", every " << t.writeEvery);
  CHECK(error <= 0.05);
  CHECK(model.clocks == exact.clocks);
  CHECK(model.activates == exact.activates);
}

/// About `intervals` refresh intervals' worth of traffic.
int64_t requestsFor(const Machine &m, const Traffic &t, int64_t intervals) {
  const double bytes = static_cast<double>(m.dramWidthBits) / 8 * m.dram.megaTransfersPerSecond *
                       1e6 * m.dram.tRefiNs * 1e-9 * static_cast<double>(intervals);
  return std::clamp<int64_t>(static_cast<int64_t>(bytes) / t.bytes, 32, 2048) / t.requesters;
}

/// Patterns drawn from everything that a machine file and a requester can vary.
void sweep(uint64_t seed, int patterns) {
  Summary summary;
  summary.text = "drawn patterns";
  std::mt19937_64 random(seed);
  auto below = [&](uint64_t n) { return static_cast<int64_t>(random() % n); };
  for (int i = 0; i < patterns; ++i) {
    Machine m = dramMachine(kStandards[below(std::size(kStandards))], 1 + below(3));
    REQUIRE(!m.dramStandard.empty());
    m.dramRefreshPerBank = m.dram.tRfcBankNs > 0 && below(2);
    Traffic t;
    t.order = static_cast<Order>(below(3));
    t.requesters = static_cast<int>(1 + below(4));
    t.bytes = int64_t(32) << below(8);
    if (below(4) == 0)
      t.bytes += 32 * below(1 + static_cast<uint64_t>(t.bytes) / 32);
    t.stride = 32 * below(1000);
    t.writeEvery = static_cast<int>(below(6));
    t.window = static_cast<size_t>(1 + below(24));
    t.skew = below(40);
    t.seed = random();
    t.requests = requestsFor(m, t, 1 + below(4));
    compare(m, t, summary);
  }
}

struct Shape {
  Order order;
  int64_t bytes, stride;
};
const Shape kShapes[] = {{Order::Streaming, 4096, 0},   {Order::Streaming, 1024, 0},
                         {Order::Strided, 1024, 12288}, {Order::Strided, 256, 16384},
                         {Order::Strided, 64, 9984},    {Order::Random, 32, 0},
                         {Order::Random, 1024, 0}};

} // namespace

TEST_CASE("dram: as the exact scheduler", "[dram]") {
  for (const char *standard : kJudged) {
    Summary summary;
    summary.text = standard;
    for (const Shape &shape : kShapes) {
      const Machine m = dramMachine(standard, shape.bytes >= 1024 ? 2 : 1);
      REQUIRE(m.dramStandard == standard);
      for (int requesters : {1, 2, 4})
        for (int writeEvery : {0, 1, 3}) {
          Traffic t;
          t.order = shape.order;
          t.bytes = shape.bytes;
          t.stride = shape.stride;
          t.requesters = requesters;
          t.writeEvery = writeEvery;
          t.requests = requestsFor(m, t, 4);
          compare(m, t, summary);
        }
    }
  }
}

TEST_CASE("dram: as the exact scheduler with per-bank refresh", "[dram]") {
  for (const char *standard : {"LPDDR5-6400", "GDDR6-14000", "HBM3-6400"}) {
    Machine m = dramMachine(standard, 1);
    m.dramRefreshPerBank = true;
    Summary summary;
    summary.text = std::string(standard) + ", per-bank refresh";
    for (const Shape &shape : {kShapes[0], kShapes[2], kShapes[5]})
      for (int writeEvery : {0, 1, 3}) {
        Traffic t;
        t.order = shape.order;
        t.bytes = shape.bytes;
        t.stride = shape.stride;
        t.requesters = 2;
        t.writeEvery = writeEvery;
        t.requests = requestsFor(m, t, 4);
        compare(m, t, summary);
      }
  }
}

TEST_CASE("dram: as the exact scheduler on drawn patterns", "[dram]") { sweep(1, 100); }

// On demand: build/bin/npucc_simulator_tests "[.dram-sweep]"
TEST_CASE("dram: as the exact scheduler on many drawn patterns", "[.dram-sweep]") {
  sweep(2, 1000);
}

TEST_CASE("dram: per-bank refresh hides behind other banks' work", "[dram]") {
  Machine m = dramMachine("LPDDR5-6400", 1);
  Traffic t;
  t.requests = 512;
  const double all = static_cast<double>(runModel(m, t).clocks);
  m.dramRefreshPerBank = true;
  CHECK(static_cast<double>(runModel(m, t).clocks) < 0.97 * all);
}
