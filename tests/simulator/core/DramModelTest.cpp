//===- DramModelTest.cpp - Bounds that the data sheet sets ----------------===//

#include "tests/simulator/TestMachine.h"
#include "tests/simulator/core/DramPatterns.h"

#include <catch2/catch.hpp>

using namespace npucc;
using namespace npucc::test;

namespace {

struct Pattern {
  int64_t requests = 16384, bytes = 4096, pitch = 4096;
  int writeEvery = 0; ///< 1: all writes, 2: every second
  size_t window = 8;
};

/// Share of the peak bandwidth that a pattern of requests reaches.
double efficiency(const Machine &m, const Pattern &p, DramLedger::Counts *statistics = nullptr) {
  DramModel dram(m);
  std::deque<size_t> inFlight;
  int64_t now = 0;
  for (int64_t i = 0; i < p.requests; ++i) {
    if (inFlight.size() >= p.window) {
      now = std::max(now, finish(dram, inFlight.front()));
      inFlight.pop_front();
    }
    bool write = p.writeEvery && i % p.writeEvery == 0;
    inFlight.push_back(ask(dram, i * p.pitch, p.bytes, write, now));
  }
  const int64_t last = dram.flush(now);
  if (statistics)
    *statistics = dram.statistics();
  double peak = m.dram.megaTransfersPerSecond * 1e6 * static_cast<double>(m.dramWidthBits) / 8;
  return static_cast<double>(p.requests * p.bytes) / (static_cast<double>(last) / m.clockHz * peak);
}

} // namespace

TEST_CASE("dram: streaming is limited by refresh", "[dram]") {
  DramLedger::Counts stats;
  double read = efficiency(machine(), {}, &stats);
  CHECK(read <= 1 - 280 / 3906.25);
  CHECK(read >= 0.90);
  CHECK(stats.readBursts == 16384 * 4096 / 32);
  // Each 2 KiB page is opened once, and those that are in use or opened ahead when a refresh
  // closes all rows (every 23 pages of a channel) once more.
  CHECK(stats.activates >= 16384 * 2);
  CHECK(stats.activates <= 16384 * 2 * 5 / 4);
  Pattern writes;
  writes.writeEvery = 1;
  double write = efficiency(machine(), writes);
  CHECK(write <= 1 - 280 / 3906.25);
  CHECK(write >= 0.88);
}

TEST_CASE("dram: mixing reads and writes costs turn-rounds", "[dram]") {
  Pattern mixed;
  mixed.writeEvery = 2;
  double both = efficiency(machine(), mixed);
  CHECK(both < efficiency(machine(), {}));
  CHECK(both > 0.75); // posted writes drain in batches
}

TEST_CASE("dram: random rows of one bank take a row cycle each", "[dram]") {
  Machine m = machine();
  DramModel dram(m);
  DramModel::Location first = dram.locate(0);
  int64_t count = 0, last = 0;
  for (int64_t address = 0; count < 500; address += 4096) {
    DramModel::Location l = dram.locate(address);
    if (l.channel != first.channel || l.bank != first.bank || (count && l.row == 0))
      continue;
    ask(dram, address, 32, false, 0);
    ++count;
  }
  last = dram.flush(0);
  double perAccess = static_cast<double>(last) / static_cast<double>(count);
  CHECK(perAccess >= 61.25);
  CHECK(perAccess <= 61.25 / (1 - 280 / 3906.25) + 2);
  // A refresh closes the one row that is opened ahead of its read.
  CHECK(dram.statistics().activates >= 500);
  CHECK(dram.statistics().activates <= 500 + dram.statistics().refreshes / 4);
}

TEST_CASE("dram: a single access pays activate and column latency", "[dram]") {
  DramModel dram(machine());
  // tRCD + tCL + one burst = 18.75 + 21.25 + 2.5 ns at 1 GHz.
  CHECK(finish(dram, ask(dram, 0, 32, false, 0)) == 43);
  // The row is open now: tCL + burst.
  CHECK(finish(dram, ask(dram, 0, 32, false, 100)) == 100 + 24);
  CHECK(dram.statistics().rowHits == 1);
}

TEST_CASE("dram: addresses are a permutation", "[dram]") {
  Machine m = machine();
  DramModel dram(m);
  CHECK(dram.channels() == 4);
  CHECK(dram.burstBytes() == 32);
  std::vector<DramModel::Location> seen;
  std::vector<int> perChannel(4);
  for (int64_t address = 0; address < 65536; address += 32) {
    seen.push_back(dram.locate(address));
    ++perChannel[seen.back().channel];
  }
  for (int count : perChannel)
    CHECK(count == 65536 / 32 / 4);
  for (size_t i = 0; i < seen.size(); i += 7)
    for (size_t j = i + 1; j < seen.size(); ++j)
      if (seen[i] == seen[j])
        FAIL("two addresses share a place");
}

TEST_CASE("dram: no power-of-two pitch stays on one channel", "[dram]") {
  for (int64_t pitch = 512; pitch <= (1 << 20); pitch *= 2) {
    Pattern p;
    p.requests = 4096;
    p.bytes = 256;
    p.pitch = pitch;
    p.window = 64;
    CHECK(efficiency(machine(), p) > 0.27); // one channel alone would reach 0.23
  }
}

TEST_CASE("dram: short runs waste bandwidth, wider memories help", "[dram]") {
  Pattern p;
  p.pitch = 8192;
  p.window = 64;
  double previous = 0;
  for (int64_t bytes : {32, 64, 256, 4096}) {
    p.bytes = bytes;
    double e = efficiency(machine(), p);
    CHECK(e >= previous * 0.98);
    previous = e;
  }
  Machine wide = machine();
  wide.dramWidthBits = 256;
  p.bytes = 4096;
  CHECK(efficiency(wide, p) * 4 > previous * 2);
}

TEST_CASE("dram: other standards", "[dram]") {
  Machine m = machine();
  auto hbm = loadDram("HBM3-6400"); // 32-bit pseudo-channels, bursts of 8
  REQUIRE(bool(hbm));
  m.dram = *hbm;
  m.dramWidthBits = 1024;
  Pattern p;
  p.window = 128;
  double e = efficiency(m, p);
  CHECK(e > 0.75);
  CHECK(e <= 1 - 350.0 / 3900);
}
