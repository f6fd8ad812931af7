//===- ValidateTest.cpp - Errors stay within what was recorded ------------===//

#include "simulator/validate/Validate.h"

#include "models/machine/Machine.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <set>

using namespace npucc;

namespace {

const std::vector<GroupResult> &bundledResults() {
  static const std::vector<GroupResult> kResults = [] {
    std::vector<GroupResult> results;
    Networks networks;
    for (const std::string &path : bundledTargets()) {
      auto groups = readTargets(path);
      if (!groups)
        throw std::runtime_error(llvm::toString(groups.takeError()));
      for (TargetGroup &group : *groups) {
        if (llvm::Error error = readBounds(group))
          throw std::runtime_error(llvm::toString(std::move(error)));
        auto result = evaluate(std::move(group), networks);
        if (!result)
          throw std::runtime_error(llvm::toString(result.takeError()));
        results.push_back(std::move(*result));
      }
    }
    return results;
  }();
  return kResults;
}

/// Numbers may differ by one in the last digit that is printed.
bool sameWord(llvm::StringRef a, llvm::StringRef b) {
  if (a == b)
    return true;
  double x = 0, y = 0;
  if (a.getAsDouble(x) || b.getAsDouble(y))
    return false;
  size_t point = a.find('.');
  double digits = point == llvm::StringRef::npos ? 0 : double(a.size() - point - 1);
  double unit = std::pow(10.0, -digits);
  // Four significant digits are printed, whatever the size.
  unit = std::max(unit, std::fabs(x) * 1e-3);
  return std::fabs(x - y) <= 1.01 * unit;
}

} // namespace

TEST_CASE("no error grew past its recorded bound", "[validate]") {
  for (const GroupResult &group : bundledResults()) {
    CHECK_FALSE(group.results.empty());
    for (const TargetResult &row : group.results) {
      INFO(group.group.name << '/' << row.target->id << ": published " << row.target->published
                            << ", ours " << row.ours);
      CHECK(row.target->bound.has_value());
      CHECK(row.kept());
    }
  }
}

TEST_CASE("tests of each group are as good as is asked", "[validate]") {
  for (const GroupResult &group : bundledResults()) {
    INFO(group.group.name);
    CHECK(group.asAsked());
    CHECK((group.errors(false).count > 0));
  }
}

TEST_CASE("the worst errors have a cause", "[validate]") {
  auto caused = [](const Worst &entry) {
    INFO(entry.group->group.name << '/' << entry.result->target->id << " "
                                 << entry.result->error());
    CHECK_FALSE(entry.result->target->cause.empty());
  };
  for (const Worst &entry : worst(bundledResults(), 5))
    caused(entry);
  for (const Worst &entry : worstOfEach(bundledResults()))
    if (std::fabs(entry.result->error()) > 0.1)
      caused(entry);
}

TEST_CASE("every validation is part of the one command", "[validate]") {
  std::set<std::string> used;
  for (const GroupResult &group : bundledResults())
    used.insert(group.group.kind);
  for (const Kind &kind : kinds())
    // Measurements of the user's own GPU alone.
    if (kind.name != "gpu-kernel-power")
      CHECK(used.count(kind.name.str()) == 1);
  for (const GroupResult &group : bundledResults())
    for (const TargetResult &row : group.results) {
      INFO(group.group.name << '/' << row.target->id);
      CHECK_FALSE(row.target->source.empty());
      CHECK_FALSE(row.target->worth.empty());
      CHECK_FALSE(row.target->unit.empty());
    }
}

TEST_CASE("no stream is faster than refresh leaves", "[validate]") {
  for (const GroupResult &group : bundledResults())
    if (group.group.name == "dram-timing")
      for (const TargetResult &row : group.results) {
        INFO(row.target->id);
        if (row.target->unit == "s")
          CHECK(row.ours >= 0.999 * row.target->published);
        else
          CHECK(row.ours <= row.target->published);
      }
}

TEST_CASE("docs/validation.md is what the tool writes today", "[validate]") {
  llvm::SmallString<256> path(modelsFolder());
  llvm::sys::path::append(path, "..", "docs", "validation.md");
  auto committed = readDataText(path.str().str());
  if (!committed) {
    llvm::consumeError(committed.takeError());
    WARN("installed without docs: skipped");
    return;
  }
  std::string written;
  llvm::raw_string_ostream os(written);
  printMarkdown(os, bundledResults());
  llvm::SmallVector<llvm::StringRef, 0> before, now;
  llvm::SplitString(*committed, before);
  llvm::SplitString(os.str(), now);
  INFO("npu-validate --markdown docs/validation.md writes it");
  REQUIRE(before.size() == now.size());
  for (size_t i = 0; i < now.size(); ++i)
    if (!sameWord(before[i], now[i]))
      FAIL(before[i].str() << " is now " << now[i].str() << ", after "
                           << now[i > 8 ? i - 8 : 0].str() << " ... " << now[i ? i - 1 : 0].str());
}

TEST_CASE("a reading of a measurement that exceeds the peak is refused", "[validate]") {
  // BERT runs of MLPerf skip padding. 384 tokens for each question would need 1.4 times the peak.
  auto groups = readTargets(modelsFolder() + "/validation/mlperf-bert-offline.yaml");
  REQUIRE(bool(groups));
  TargetGroup group = std::move(groups->front());
  Target target = group.targets.front();
  auto lengths = llvm::find_if(target.fields.children,
                               [](const DataNode &field) { return field.key == "lengths"; });
  REQUIRE(lengths != target.fields.children.end());
  while (lengths->children.size() > 1)
    lengths->children.erase(lengths->children.begin());
  CHECK(lengths->children.front().children.front().scalar == "384");
  group.targets = {target};
  Networks networks;
  auto result = evaluate(std::move(group), networks);
  REQUIRE_FALSE(bool(result));
  CHECK_THAT(llvm::toString(result.takeError()), Catch::Contains("more than the peak allows"));
}

TEST_CASE("an error past its bound is noticed", "[validate]") {
  Target target;
  target.published = 100;
  target.bound = 0.05;
  TargetResult result{&target, 104.9, ""};
  CHECK(result.kept());
  result.ours = 105.1;
  CHECK_FALSE(result.kept());
  result.ours = 94.9;
  CHECK_FALSE(result.kept());
  target.bound.reset();
  CHECK(result.kept());
}

TEST_CASE("errors of a group are means and largest of absolute values", "[validate]") {
  GroupResult group;
  group.group.targets.resize(3);
  for (Target &target : group.group.targets)
    target.published = 10;
  group.group.targets[0].calibration = true;
  for (Target &target : group.group.targets)
    group.results.push_back({&target, 10, ""});
  group.results[1].ours = 12;
  group.results[2].ours = 9;
  CHECK(group.errors(true).count == 1);
  CHECK(group.errors(false).mean == Approx(0.15));
  CHECK(group.errors(false).worst == Approx(0.2));
  group.group.worstAsked = 0.19;
  CHECK_FALSE(group.asAsked());
  group.group.worstAsked = 0.21;
  CHECK(group.asAsked());
}

TEST_CASE("factors and intervals of a group", "[validate]") {
  GroupResult group;
  group.group.targets.resize(2);
  for (Target &target : group.group.targets)
    target.published = 10;
  group.results.push_back({&group.group.targets[0], 5, "", 4, 11});
  group.results.push_back({&group.group.targets[1], 20, "", 15, 30});
  GroupResult::Errors errors = group.errors(false);
  CHECK(errors.meanFactor == Approx(2)); // half is as bad as twice
  CHECK(errors.worstFactor == Approx(2));
  CHECK(errors.intervals == 2);
  CHECK(errors.inside == 1);
  group.group.worstFactorAsked = 1.9;
  CHECK_FALSE(group.asAsked());
  group.group.worstFactorAsked = 2.1;
  CHECK(group.asAsked());
  group.group.insideAsked = 0.6;
  CHECK_FALSE(group.asAsked());
  group.group.insideAsked = 0.5;
  CHECK(group.asAsked());
  group.group.meanFactorAsked = 1.5;
  CHECK_FALSE(group.asAsked());
}
