//===- EnergyLibraryTest.cpp - Published energies, and what follows from them ===//

#include "models/energy/LeaveOneOut.h"
#include "models/energy/Nodes.h"
#include "models/machine/Machine.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <set>

using namespace npucc;

namespace {

const std::vector<LibraryRow> &library() {
  auto rows = energyLibrary();
  if (!rows)
    FAIL(llvm::toString(rows.takeError()));
  return **rows;
}

std::vector<LeftOut> leftOut(LibraryRows which) {
  auto results = leaveOneOut(library(), which);
  if (!results)
    FAIL(llvm::toString(results.takeError()));
  return *results;
}

} // namespace

TEST_CASE("rows of the energy tables follow from the others", "[energy-library]") {
  double logs = 0;
  size_t count = 0, inside = 0;
  for (const LeftOut &left : leftOut(LibraryRows::Fitted)) {
    INFO(left.id << ": published " << left.row->value << ", from the other rows "
                 << left.estimate.value << " (" << left.estimate.low << " to " << left.estimate.high
                 << ")");
    CHECK(std::fabs(left.logError()) < std::log(2));
    logs += std::fabs(left.logError());
    inside += left.inside();
    ++count;
  }
  REQUIRE(count > 55);
  CHECK(std::exp(logs / double(count)) < 1.25);
  CHECK(double(inside) >= 0.9 * double(count));
}

TEST_CASE("what disagrees with the tables is known", "[energy-library]") {
  // Rows of models, projections and other architectures: not fitted, compared. npu-validate has
  // a bound for each; here, how many of all published rows their interval holds.
  size_t inside = 0, count = 0;
  for (LibraryRows which : {LibraryRows::Fitted, LibraryRows::Checks})
    for (const LeftOut &left : leftOut(which)) {
      inside += left.inside();
      ++count;
    }
  CHECK(double(inside) >= 0.85 * double(count));
}

TEST_CASE("rows that are left out have ids of their own", "[energy-library]") {
  std::set<std::string> ids;
  size_t count = 0;
  for (LibraryRows which : {LibraryRows::Fitted, LibraryRows::Checks})
    for (const LeftOut &left : leftOut(which)) {
      CHECK(left.id.find_first_of(" ,:") == std::string::npos);
      CHECK(left.row->check == (which == LibraryRows::Checks));
      CHECK(left.row->provenance != "estimated");
      ids.insert(left.id);
      ++count;
    }
  CHECK(ids.size() == count);
  CHECK(ids.count("jouppi-2021-int_adder-8-bits-7-nm-0.75-V") == 1);
}

TEST_CASE("a row of the library is its own estimate", "[energy-library]") {
  Sizes eight;
  eight[Size::Bits] = 8;
  auto found = estimate(library(), "int_multiplier", eight, 7, 0.75);
  REQUIRE(bool(found));
  CHECK(found->value == Approx(0.07));
  CHECK(found->generations == 0);
  CHECK(found->confidence == "high");
  CHECK_THAT(found->source(), Catch::Contains("Jouppi"));
  // The square of the voltage.
  CHECK(estimate(library(), "int_multiplier", eight, 7, 0.375)->value == Approx(0.07 / 4));
}

TEST_CASE("nothing is scaled over more than two generations", "[energy-library]") {
  for (const ComponentClass &c : componentClasses()) {
    Sizes sizes;
    for (const ComponentClass::Exponent &e : c.exponents)
      if (e.size != Size::CycleNs)
        sizes[e.size] = 16;
    for (double node : {65.0, 45.0, 40.0, 28.0, 16.0, 7.0, 5.0}) {
      auto found = estimate(library(), c.name, sizes, node, 0.8);
      if (!found)
        FAIL(llvm::toString(found.takeError()));
      INFO(c.name << " at " << node << " nm: " << found->source());
      CHECK(found->low <= found->value);
      CHECK(found->value <= found->high);
      if (c.area || found->generations <= kMostGenerations)
        continue;
      CHECK(found->limited);
      CHECK(found->confidence == "low");
      // As far as two generations from its rows, at the same voltage.
      double from = found->votes[0].row->nodeNm;
      auto nearer = estimate(library(), c.name, sizes, nodeTowards(from, node, 2), 0.8);
      REQUIRE(bool(nearer));
      CHECK(found->value == Approx(nearer->value));
    }
  }
}

TEST_CASE("generations", "[energy-library]") {
  CHECK(nodeSteps(45, 40) == 0);
  CHECK(nodeSteps(45, 28) == 1);
  CHECK(nodeSteps(16, 12) == 0);
  CHECK(nodeSteps(7, 16) == 2);
  CHECK(nodeSteps(5, 7) == 1);
  CHECK(nodeTowards(40, 7, 2) == 22);
  CHECK(nodeTowards(40, 28, 2) == 28);
  CHECK(nodeEnergyRatio(45, 7) == Approx(0.0654 / 0.693));
  CHECK(nodeAreaRatio(45, 7) == Approx(0.059));
}

TEST_CASE("mistakes in a table are named", "[energy-library]") {
  auto errorOf = [](const std::string &row) {
    auto rows = parseLibraryTable("source: s\nseries: x\nvoltage_v: 1\nscope: component\nunit: pJ\n"
                                  "spread: 1.1\nprovenance: read\nrows:\n  - {" +
                                      row + "}\n",
                                  "t.yaml");
    REQUIRE_FALSE(bool(rows));
    return llvm::toString(rows.takeError());
  };
  CHECK_THAT(errorOf("class: wire, value: 1"), Catch::Contains("node_nm"));
  CHECK_THAT(errorOf("class: wire, node_nm: 7, value: -1"), Catch::Contains("t.yaml:9:"));
  CHECK_THAT(errorOf("class: wire, node_nm: 7, value: 1, low: 2"), Catch::Contains("low <= value"));
  CHECK_THAT(errorOf("class: wire, node_nm: 7, value: 1, volts: 2"),
             Catch::Contains("unknown key 'row.volts'"));
}
