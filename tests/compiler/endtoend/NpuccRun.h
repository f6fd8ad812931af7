//===- NpuccRun.h - Runs of the built npucc, and what must hold of each -*- C++ -*-===//
#pragma once

#include "tests/runtime/TestSupport.h"

#include "llvm/Support/JSON.h"

#include <string>
#include <vector>

namespace npucc::test {

/// One run of the built npucc with --report-json and --output-dir in a folder of its own.
class NpuccRun {
public:
  /// A failed test that shows stderr where the exit status is not 0.
  explicit NpuccRun(const std::string &model, const std::vector<std::string> &options = {});

  /// What it wrote to standard output.
  const std::string &printed() const { return standardOutput; }
  Tensor output(const std::string &name) const;
  const llvm::json::Object &report() const { return *parsed.getAsObject(); }
  /// A number by its path of keys: number("model.macs").
  double number(llvm::StringRef path) const;
  std::string text(llvm::StringRef path) const;
  /// Sum of a layer's number over all layers.
  double layerSum(llvm::StringRef key) const;
  /// The report without `tool`, the only part that differs between equal runs.
  llvm::json::Value repeatable() const;

private:
  const llvm::json::Value *find(llvm::StringRef path) const;

  TemporaryFolder folder;
  std::string standardOutput;
  llvm::json::Value parsed = nullptr;
};

/// Elements of the network's weight tensors: constants of rank 2 and more. Vectors (biases,
/// normalisation, shapes) are often folded into others.
int64_t weightElements(const std::string &model);

/// What is true of every run, whatever the schedule: no faster than the peaks of the machine, the
/// parts sum to the totals, weights that start in DRAM are read.
void checkReport(const NpuccRun &run, const std::string &machine, double weightBytes);

} // namespace npucc::test
