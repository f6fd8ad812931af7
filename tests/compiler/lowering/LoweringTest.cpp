//===- LoweringTest.cpp - Lowered networks against the reference --------------===//

#include "LinalgOracle.h"

#include "compiler/lowering/Lowering.h"
#include "runtime/ops/Registry.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>

using namespace npucc;

namespace {

test::OracleResult lowerAndRun(const std::string &path, test::OracleOptions options = {}) {
  llvm::Expected<Model> model = loadModel(path);
  if (!model)
    FAIL(llvm::toString(model.takeError()));
  llvm::Expected<test::OracleResult> result = test::runOracle(*model, options);
  if (!result)
    FAIL(path << ": " << llvm::toString(result.takeError()));
  return *result;
}

/// Networks that are not part of the repository; empty where there are none.
std::string sharedNetwork(const std::string &name) {
  const char *given = std::getenv("NPUCC_SHARED");
  std::string path = given ? given : "";
#ifdef NPUCC_SHARED_DIR
  if (path.empty())
    path = NPUCC_SHARED_DIR;
#endif
  path += "/models/" + name + "/model.onnx";
  return std::filesystem::exists(path) ? path : "";
}

} // namespace

TEST_CASE("the bundled network lowers completely and computes what the reference does",
          "[lowering]") {
  test::OracleResult result = lowerAndRun("models/networks/digits.onnx");
  CHECK(result.hostNodes.empty());
  CHECK(result.outputs > 0);
  CHECK(result.worstRelative < 1e-5);
}

TEST_CASE("bf16 storage stays within its precision", "[lowering]") {
  test::OracleOptions options;
  options.storage = "bf16";
  test::OracleResult result = lowerAndRun("models/networks/digits.onnx", options);
  CHECK(result.hostNodes.empty());
  CHECK(result.worstRelative < 3e-2);
}

TEST_CASE("layers of a quantised network differ by rounding only", "[lowering]") {
  test::OracleOptions options;
  options.cutAt = "QuantizeLinear";
  test::OracleResult result = lowerAndRun("models/networks/digits_int8.onnx", options);
  CHECK(result.hostNodes.empty());
  CHECK(result.integerElements > 0);
  CHECK(result.largestIntegerError <= 1);
  CHECK(result.integerMismatches * 10000 <= result.integerElements);
}

TEST_CASE("small networks of every kind", "[lowering][shared]") {
  struct Network {
    const char *name;
    double tolerance;
  };
  for (Network network : {Network{"resnet8_fp32", 1e-5}, Network{"resnet8_qdq", 1e-5},
                          Network{"kws_dscnn_qlinear", 1e-5}, Network{"magika_v3_3", 1e-4}}) {
    std::string path = sharedNetwork(network.name);
    if (path.empty())
      continue;
    INFO(network.name);
    test::OracleOptions options;
    if (std::string(network.name) == "magika_v3_3")
      options.bindings.batch = 1;
    test::OracleResult result = lowerAndRun(path, options);
    CHECK(result.hostNodes.empty());
    CHECK(result.worstRelative < network.tolerance);
  }
}

TEST_CASE("every lowering belongs to an operator of the runtime", "[lowering]") {
  for (const lowering::Lowering *entry : lowering::allLowerings()) {
    INFO(entry->domain << ":" << entry->op);
    CHECK(findOp(entry->domain, entry->op) != nullptr);
  }
}
