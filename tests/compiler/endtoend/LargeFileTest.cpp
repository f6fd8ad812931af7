//===- LargeFileTest.cpp - npucc on 10 GB of weights --------------------------===//

#include "tests/runtime/onnx/LargeFile.h"

#include "llvm/Support/Program.h"

using namespace npucc;
using namespace npucc::test;

/// Peak of the memory of a run that must succeed, in MB.
static double megabytes(const std::string &model, std::vector<llvm::StringRef> options) {
  options.insert(options.begin(), {NPUCC_TOOL, model, "--quiet", "--baseline", "none"});
  std::optional<llvm::sys::ProcessStatistics> statistics;
  std::string why;
  int status = llvm::sys::ExecuteAndWait(NPUCC_TOOL, options, std::nullopt,
                                         {llvm::StringRef(""), llvm::StringRef(""), std::nullopt},
                                         0, 0, &why, nullptr, &statistics);
  INFO(why);
  REQUIRE(status == 0);
  REQUIRE(statistics);
  return static_cast<double>(statistics->PeakMemory) / 1000;
}

TEST_CASE("npucc takes 10 GB of weights in little memory", "[endtoend]") {
  LargeModel large;
  if (!large.write()) {
    WARN("the file system has no sparse files: skipped");
    return;
  }
  // Where no data is asked for, none is read. Most of the rest are LLVM's and MLIR's libraries.
  double little = megabytes(NPUCC_SOURCE_MODELS_DIR "/networks/digits.onnx", {"--mode", "timing"});
  double timing = megabytes(large.path(), {"--mode", "timing"});
  double listing = megabytes(large.path(), {"--mode", "timing", "--emit", "asm"});
  INFO("peaks in MB: digits " << little << ", 10 GB of weights " << timing << ", their program "
                              << listing);
  CHECK(timing < little + 50);
  CHECK(listing < little + 50);
}
