//===- FuzzRegressionsTest.cpp - Files on which the fuzzer found something -----===//

#include "tests/fuzz/UseModel.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <catch2/catch.hpp>

using namespace npucc::test;

TEST_CASE("what the fuzzer found stays repaired", "[loader][fuzz]") {
  std::error_code code;
  int files = 0;
  for (llvm::sys::fs::directory_iterator it(NPUCC_REGRESSIONS_DIR, code), end; it != end && !code;
       it.increment(code)) {
    if (llvm::sys::path::extension(it->path()) != ".onnx")
      continue;
    ++files;
    INFO(it->path());
    // Whatever the sizes of unbound dimensions and the inputs.
    for (uint64_t seed = 0; seed < 60; ++seed) {
      Use use = useModel(it->path(), seed);
      CHECK(use.defect == "");
    }
  }
  CHECK(files > 0);
}
