//===- LargeFileTest.cpp - 10 GB of weights are mapped, not read --------------===//

#include "tests/runtime/onnx/LargeFile.h"

#include <fstream>

#include <unistd.h>

using namespace npucc;
using namespace npucc::test;

/// What of this process is in memory, pages of mapped files included.
static int64_t residentMegabytes() {
  std::ifstream file("/proc/self/statm");
  int64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE) >> 20;
}

TEST_CASE("10 GB of external data open in less than 100 MB", "[loader]") {
  LargeModel large;
  if (!large.write()) {
    WARN("the file system has no sparse files: skipped");
    return;
  }
  int64_t before = residentMegabytes();
  Model model = check(loadModel(large.path()));
  check(prepare(model, {}));
  CHECK(countParameters(model) == LargeModel::kLayers * LargeModel::kLayerBytes / 4);
  CHECK(countMacs(model.graph) == countParameters(model));
  CHECK(model.graph.nodes.size() == LargeModel::kLayers);
  REQUIRE(before > 0);
  CHECK(residentMegabytes() < before + 100);
}
