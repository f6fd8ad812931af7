//===- DramSchedulerTest.cpp - The judge against sequences done by hand ---===//
//
// LPDDR5-6400 in clocks of 1.25 ns: tRCD 15, tRP 15 (all banks 17), tRAS 34, tRC 49, tCL 17,
// tCWL 9, tRTP 8, tRRD 4, tFAW 16, tCCD 2 and 4, tWTR 5 and 10, tRTW 12, data 2, tREFI 3125,
// tRFC 224. The model must agree on each.
//
//===----------------------------------------------------------------------===//

#include "tests/simulator/core/DramPatterns.h"

#include <catch2/catch.hpp>

using namespace npucc;
using namespace npucc::test;

namespace {

using Kind = DramScheduler::Kind;

struct Step {
  int64_t at;
  Kind kind;
};

std::vector<Step> steps(const DramScheduler &dram) {
  std::vector<Step> all;
  for (const DramScheduler::Command &c : dram.commands(0))
    all.push_back({c.at, c.kind});
  return all;
}

int64_t finish(DramScheduler &dram) {
  while (!dram.idle())
    dram.step();
  return dram.lastData();
}

void check(const DramScheduler &dram, const std::vector<Step> &expected) {
  std::vector<Step> got = steps(dram);
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("command " << i);
    CHECK(got[i].at == expected[i].at);
    CHECK(got[i].kind == expected[i].kind);
  }
}

/// The first address, 32 bytes apart from the ones before, whose place fits.
template <typename Fits> int64_t addressWith(const Machine &m, Fits fits) {
  DramModel map(m);
  for (int64_t a = 0; a < (int64_t(1) << 30); a += 32)
    if (fits(map.locate(a)))
      return a;
  FAIL("no such address");
  return 0;
}

const Machine &lpddr() {
  static const Machine m = dramMachine("LPDDR5-6400", 1);
  return m;
}

} // namespace

TEST_CASE("dram scheduler: a row that is closed, and a conflict", "[dram]") {
  DramScheduler dram(lpddr());
  DramModel model(lpddr());
  const DramModel::Location first = model.locate(0);
  const int64_t other = addressWith(lpddr(), [&](const DramModel::Location &l) {
    return l.bank == first.bank && l.row != first.row;
  });
  dram.submit(0, 32, false);
  dram.submit(other, 32, false);
  CHECK(finish(dram) == 83);
  check(dram, {{0, Kind::Activate},
               {15, Kind::Read},
               {34, Kind::Precharge},
               {49, Kind::Activate},
               {64, Kind::Read}});
  const size_t early = ask(model, 0, 32, false, 0), late = ask(model, other, 32, false, 0);
  CHECK(finish(model, early) == 34);
  CHECK(finish(model, late) == 83);
}

TEST_CASE("dram scheduler: bursts of an open page follow each other", "[dram]") {
  DramScheduler dram(lpddr());
  dram.submit(0, 256, false); // four bursts in each of two bank groups
  // The second group's row opens 4 clocks later; tCCD_L keeps the first one's next burst back.
  CHECK(finish(dram) == 50);
  check(dram, {{0, Kind::Activate},
               {4, Kind::Activate},
               {15, Kind::Read},
               {19, Kind::Read},
               {21, Kind::Read},
               {23, Kind::Read},
               {25, Kind::Read},
               {27, Kind::Read},
               {29, Kind::Read},
               {31, Kind::Read}});
  DramModel model(lpddr());
  CHECK(finish(model, ask(model, 0, 256, false, 0)) == 50);
}

TEST_CASE("dram scheduler: the fifth activate waits for tFAW", "[dram]") {
  // HBM3-6400: tRRD 4 (5 within a group), tFAW 24 clocks of 0.625 ns.
  const Machine m = dramMachine("HBM3-6400", 1);
  DramModel map(m), model(m);
  DramScheduler dram(m);
  std::vector<size_t> groups;
  std::vector<size_t> banks;
  for (int64_t a = 0; banks.size() < 5; a += 32) {
    const DramModel::Location l = map.locate(a);
    if (std::find(banks.begin(), banks.end(), l.bank) != banks.end() ||
        (!groups.empty() && groups.back() == l.bank % 4))
      continue;
    banks.push_back(l.bank);
    groups.push_back(l.bank % 4);
    dram.submit(a, 32, false);
    ask(model, a, 32, false, 0);
  }
  // tRCD 31, tCL 20, data 2.
  CHECK(finish(dram) == 24 + 31 + 20 + 2);
  CHECK(model.flush(0) == 24 + 31 + 20 + 2);
  std::vector<int64_t> activates;
  for (const Step &s : steps(dram))
    if (s.kind == Kind::Activate)
      activates.push_back(s.at);
  CHECK(activates == std::vector<int64_t>{0, 4, 8, 12, 24});
}

TEST_CASE("dram scheduler: the bus turns", "[dram]") {
  DramScheduler dram(lpddr());
  dram.submit(0, 32, false);
  for (int64_t i = 0; i < DramModel::kWriteQueueBytes / 32; ++i)
    dram.submit(0, 32, true);
  dram.submit(0, 32, false);
  finish(dram);
  std::vector<Step> all = steps(dram);
  REQUIRE(all.size() == 1 + 1 + 128 + 1);
  CHECK(all[1].at == 15);      // read
  CHECK(all[2].at == 15 + 12); // write: tRTW
  CHECK(all[3].at == 27 + 4);  // tCCD_L
  CHECK(all[129].at == 27 + 127 * 4);
  CHECK(all[130].at == 27 + 127 * 4 + 9 + 2 + 10); // tCWL, data, tWTR_L

  DramModel model(lpddr());
  const size_t before = ask(model, 0, 32, false, 0);
  for (int64_t i = 0; i < DramModel::kWriteQueueBytes / 32; ++i)
    ask(model, 0, 32, true, 0);
  const size_t after = ask(model, 0, 32, false, 0);
  CHECK(finish(model, before) == 34);
  CHECK(finish(model, after) == 27 + 127 * 4 + 9 + 2 + 10 + 19);
}

TEST_CASE("dram scheduler: refresh closes all banks", "[dram]") {
  DramScheduler dram(lpddr());
  DramModel model(lpddr());
  while (dram.now() < 3100)
    dram.step();
  dram.submit(0, 32, false);
  const size_t first = ask(model, 0, 32, false, 3100);
  while (dram.now() < 3120)
    dram.step();
  dram.submit(0, 32, false); // before the refresh is due
  const size_t second = ask(model, 0, 32, false, 3120);
  while (dram.now() < 3126)
    dram.step();
  dram.submit(0, 32, false); // after it
  finish(dram);
  check(dram, {{3100, Kind::Activate},
               {3115, Kind::Read},
               {3120, Kind::Read},
               {3134, Kind::PrechargeAll}, // tRAS
               {3151, Kind::Refresh},
               {3375, Kind::Activate},
               {3390, Kind::Read}});
  const size_t third = ask(model, 0, 32, false, 3126);
  CHECK(finish(model, first) == 3134);
  CHECK(finish(model, second) == 3139);
  CHECK(finish(model, third) == 3390 + 19);
  CHECK(model.statistics().refreshes == 1);
}

TEST_CASE("dram scheduler: a bank is refreshed while others work", "[dram]") {
  Machine m = lpddr();
  m.dramRefreshPerBank = true;
  // Bank 0's turn comes after 3125 / 16 clocks.
  const int64_t there = addressWith(m, [](const DramModel::Location &l) { return l.bank == 0; });
  const int64_t elsewhere =
      addressWith(m, [](const DramModel::Location &l) { return l.bank == 5; });
  DramScheduler dram(m);
  DramModel model(m);
  while (dram.now() < 200)
    dram.step();
  dram.submit(there, 32, false);
  dram.submit(elsewhere, 32, false);
  finish(dram);
  CHECK(dram.doneAt(0) == 195 + 112 + 34);
  CHECK(dram.doneAt(1) == 200 + 34);
  const size_t waits = ask(model, there, 32, false, 200);
  CHECK(finish(model, ask(model, elsewhere, 32, false, 200)) == 200 + 34);
  CHECK(finish(model, waits) == 195 + 112 + 34);
}
