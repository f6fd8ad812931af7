//===- ModelsTest.cpp - Whole networks against onnxruntime's outputs ------===//
//
// The networks and their expected outputs are not part of the repository: without
// them (see sharedFolder()) these tests pass with a message.
//
//===----------------------------------------------------------------------===//
#include "tests/compiler/endtoend/NpuccRun.h"

#include "llvm/Support/MemoryBuffer.h"

#include <cmath>

using namespace npucc;
using namespace npucc::test;

namespace {

/// Every element may differ by 1e-4 of the largest in its last-axis channel, and by 1e-7 of the
/// largest of all where the channel is nearly zero.
void checkClose(const Tensor &result, const Tensor &expected) {
  int64_t channels = expected.rank() ? expected.shape().back() : 1;
  std::vector<double> largest(channels), worst(channels);
  for (int64_t i = 0; i < expected.size(); ++i) {
    double want = expected.asDouble(i), error = std::abs(result.asDouble(i) - want);
    largest[i % channels] = std::max(largest[i % channels], std::abs(want));
    if (!(error <= worst[i % channels])) // NaN too
      worst[i % channels] = error;
  }
  double all = *std::max_element(largest.begin(), largest.end());
  for (int64_t c = 0; c < channels; ++c)
    if (!(worst[c] <= 1e-4 * (largest[c] + 1e-3 * all)))
      FAIL("channel " << c << " differs by " << worst[c] << ", its largest number is " << largest[c]
                      << ", that of the tensor " << all);
}

/// 99.9 % of the elements differ by at most one step of the 8-bit grid.
void checkSteps(const Tensor &result, const Tensor &expected, double step) {
  int64_t far = 0;
  for (int64_t i = 0; i < expected.size(); ++i)
    far += !(std::abs(result.asDouble(i) - expected.asDouble(i)) <= 1.001 * step);
  CHECK(far <= expected.size() / 1000);
}

/// A network on three machines of different kinds and sizes. `step`: of the outputs' 8-bit grid,
/// 0 for floats.
void checkModel(const std::string &name, double step = 0) {
  std::string folder = sharedFolder();
  if (folder.empty())
    return;
  folder += "/models/" + name;
  if (!llvm::sys::fs::exists(folder)) {
    WARN("no " << folder << ": skipped");
    return;
  }
  std::string model = folder + "/model.onnx", data = folder + "/test_data_0/";
  auto file = llvm::MemoryBuffer::getFile(data + "meta.json");
  REQUIRE(file);
  llvm::json::Value meta = check(llvm::json::parse((*file)->getBuffer()));
  std::vector<std::string> options = {"--no-host", "--baseline", "none"};
  for (const llvm::json::Value &input : *meta.getAsObject()->getArray("inputs")) {
    const llvm::json::Object &object = *input.getAsObject();
    options.push_back("--input");
    options.push_back((*object.getString("name") + "=" + data + *object.getString("file")).str());
  }
  double weights = static_cast<double>(weightElements(model)) * (step > 0 ? 1 : 4);
  for (const char *machine : {"edge", "server", "nvdla-small"}) {
    INFO(name << " on " << machine);
    std::vector<std::string> all = options;
    all.insert(all.end(), {"--npu", machine});
    NpuccRun run(model, all);
    for (const llvm::json::Value &output : *meta.getAsObject()->getArray("outputs")) {
      const llvm::json::Object &object = *output.getAsObject();
      std::string outputName = object.getString("name")->str();
      INFO("output " << outputName);
      Tensor expected = check(readNpy(data + object.getString("file")->str()));
      Tensor result = run.output(outputName);
      REQUIRE(result.type() == expected.type());
      REQUIRE(shapeOf(result) == shapeOf(expected));
      if (step > 0)
        checkSteps(result, expected, step);
      else
        checkClose(result, expected);
    }
    checkReport(run, machine, weights);

    // The program alone takes the same time as with data.
    all.insert(all.end(), {"--mode", "timing"});
    NpuccRun timing(model, all);
    CHECK(timing.number("cycles") == run.number("cycles"));
    CHECK(timing.number("energy_j.total") == Approx(run.number("energy_j.total")));
  }
}

} // namespace

TEST_CASE("end to end: resnet8", "[endtoend]") { checkModel("resnet8_fp32"); }
TEST_CASE("end to end: resnet8 in int8 (QDQ)", "[endtoend]") {
  checkModel("resnet8_qdq", 1. / 256);
}
TEST_CASE("end to end: keyword spotting in int8 (QLinear)", "[endtoend]") {
  checkModel("kws_dscnn_qlinear", 1. / 256);
}
TEST_CASE("end to end: squeezenet", "[endtoend]") { checkModel("squeezenet_fp32"); }
TEST_CASE("end to end: super resolution", "[endtoend]") { checkModel("super_resolution"); }
TEST_CASE("end to end: face detection", "[endtoend]") { checkModel("ultraface_rfb320"); }
TEST_CASE("end to end: yolox", "[endtoend]") { checkModel("yolox_nano"); }
// Caches that are graph inputs, updated in place by ScatterND.
TEST_CASE("end to end: speech enhancement", "[endtoend]") { checkModel("gtcrn_simple"); }
