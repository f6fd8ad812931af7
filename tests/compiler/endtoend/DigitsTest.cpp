//===- DigitsTest.cpp - The bundled classifiers, whole runs ---------------===//

#include "tests/compiler/endtoend/NpuccRun.h"

using namespace npucc;
using namespace npucc::test;

namespace {

const std::string kNetworks = NPUCC_SOURCE_MODELS_DIR "/networks/";

/// Share of the test images that a network puts into the right class.
double accuracy(const std::string &network, const std::vector<std::string> &options) {
  std::vector<std::string> all = {"--batch",    "360",
                                  "--input",    "image=" + kNetworks + "digits_test_images.npy",
                                  "--baseline", "none"};
  all.insert(all.end(), options.begin(), options.end());
  NpuccRun run(kNetworks + network, all);
  Tensor logits = run.output("logits"),
         labels = check(readNpy(kNetworks + "digits_test_labels.npy"));
  REQUIRE(shapeOf(logits) == std::vector<int64_t>{360, 10});
  REQUIRE(labels.size() == 360);
  int right = 0;
  for (int64_t i = 0; i < 360; ++i) {
    int64_t best = 0;
    for (int64_t k = 1; k < 10; ++k)
      if (logits.asDouble(10 * i + k) > logits.asDouble(10 * i + best))
        best = k;
    right += best == labels.asInt(i);
  }
  checkReport(run, "edge", 0);
  return right / 360.;
}

} // namespace

TEST_CASE("digits: accuracy of each arithmetic", "[endtoend]") {
  CHECK(accuracy("digits.onnx", {}) >= 0.97);
  CHECK(accuracy("digits.onnx", {"--precision", "bf16"}) >= 0.97);
  CHECK(accuracy("digits.onnx", {"--precision", "int8"}) >= 0.97);
  CHECK(accuracy("digits_int8.onnx", {}) >= 0.97);
}

TEST_CASE("digits: equal runs give equal reports", "[endtoend]") {
  for (const char *machine : {"edge", "server", "nvdla-small"})
    for (const char *network : {"digits.onnx", "digits_int8.onnx"}) {
      INFO(network << " on " << machine);
      NpuccRun first(kNetworks + network, {"--npu", machine});
      NpuccRun second(kNetworks + network, {"--npu", machine});
      CHECK(first.repeatable() == second.repeatable());
      CHECK(first.report().getArray("baselines")->size() > 0);
      double width = network == std::string("digits.onnx") ? 4 : 1;
      checkReport(first, machine, width * static_cast<double>(weightElements(kNetworks + network)));

      NpuccRun timing(kNetworks + network, {"--npu", machine, "--mode", "timing"});
      CHECK(timing.number("cycles") == first.number("cycles"));
    }
}

TEST_CASE("digits: narrower numbers and more images", "[endtoend]") {
  const std::string network = kNetworks + "digits.onnx";
  NpuccRun fp32(network), bf16(network, {"--precision", "bf16"}),
      int8(network, {"--precision", "int8"}), eight(network, {"--batch", "8"}),
      resident(network, {"--weights", "resident"});
  double weights = static_cast<double>(weightElements(network));
  checkReport(bf16, "edge", 2 * weights);
  checkReport(int8, "edge", weights);
  checkReport(eight, "edge", 4 * weights);
  checkReport(resident, "edge", 0);
  CHECK(bf16.number("dram_bytes.read") < fp32.number("dram_bytes.read"));
  CHECK(int8.number("dram_bytes.read") < bf16.number("dram_bytes.read"));
  CHECK(int8.number("energy_j.total") < bf16.number("energy_j.total"));
  CHECK(bf16.number("energy_j.total") < fp32.number("energy_j.total"));
  // Weights that are there already are not read; weights are shared by a batch.
  CHECK(resident.number("cycles") < fp32.number("cycles"));
  CHECK(resident.number("dram_bytes.read") < 4 * weights);
  CHECK(eight.number("inferences_per_s") > fp32.number("inferences_per_s"));
}
