//===- ModelsTest.cpp - Whole networks against stored outputs -------------===//

#include "tests/runtime/ops/CaseRunner.h"

#include "llvm/Support/Path.h"

#include <cstdio>

using namespace npucc;
using namespace npucc::test;

namespace {

std::string stem(const std::string &path) { return llvm::sys::path::filename(path).str(); }

/// What a network's floats may differ by.
Tolerance toleranceOf(llvm::StringRef model) {
  // Each result is rounded to fp16; ONNX Runtime keeps fp32 between neighbours. A
  // logit of 16 to 32 has steps of 1/64, hence a probability steps of 1.6 %.
  if (model == "squeezenet_fp16")
    return {0.016, INFINITY};
  // A value that rounds the other way moves a whole quantisation step, and 113 layers
  // amplify that: changing the scales by 5e-7 moves the output by 10 % rms here. (The
  // network's quantisation error is 60 %.)
  if (model == "yolox_nano_qdq")
    return {1, 0.15};
  return {};
}

/// Runs every folder with model.onnx and SET*/input_*SUFFIX, output_*SUFFIX.
/// Returns how many sets passed.
int runFolders(const std::string &folder, const std::string &set, const std::string &suffix,
               bool expectAll) {
  int passed = 0, failed = 0;
  for (const std::string &model : entries(folder)) {
    if (!llvm::sys::fs::exists(model + "/model.onnx"))
      continue;
    for (int k = 0;; ++k) {
      std::string data = model + "/" + set + std::to_string(k);
      if (!llvm::sys::fs::is_directory(data))
        break;
      CaseResult result;
      auto inputs = readNumbered(data + "/input_", suffix);
      auto outputs = readNumbered(data + "/output_", suffix);
      if (!inputs)
        result.message = llvm::toString(inputs.takeError());
      if (!outputs)
        result.message += llvm::toString(outputs.takeError());
      if (result.message.empty())
        result = runCase(model + "/model.onnx", *inputs, *outputs, toleranceOf(stem(model)));
      ++(result.message.empty() ? passed : failed);
      if (std::getenv("NPUCC_TEST_VERBOSE"))
        std::printf("%-40s %d %8.1f ms  %s\n", stem(model).c_str(), k, result.seconds * 1e3,
                    result.message.empty() ? "ok" : result.message.c_str());
      if (expectAll) {
        INFO(stem(model) << " set " << k << ": " << result.message);
        CHECK(result.message.empty());
      }
    }
  }
  if (std::getenv("NPUCC_TEST_VERBOSE"))
    std::printf("%d passed, %d failed\n", passed, failed);
  return passed;
}

} // namespace

TEST_CASE("reference: real models give their stored outputs", "[reference][models]") {
  std::string shared = sharedFolder();
  if (!shared.empty())
    CHECK(runFolders(shared + "/models", "test_data_", ".npy", true) > 0);
}

TEST_CASE("reference: PyTorch's exported operators", "[reference][backend]") {
  std::string shared = sharedFolder();
  if (shared.empty())
    return;
  for (const char *suite : {"pytorch-operator", "pytorch-converted"})
    CHECK(runFolders(shared + "/onnx-backend/" + suite, "test_data_set_", ".pb", true) > 0);
}

TEST_CASE("reference: ONNX's simple models", "[reference][backend]") {
  // Some are about strings, sequences and gradients, which stay out.
  std::string shared = sharedFolder();
  if (!shared.empty())
    CHECK(runFolders(shared + "/onnx-backend/simple", "test_data_set_", ".pb", false) >= 7);
}

TEST_CASE("reference: the light model zoo", "[reference][backend]") {
  std::string shared = sharedFolder();
  if (shared.empty())
    return;
  for (const std::string &path : entries(shared + "/onnx-backend/light")) {
    if (!llvm::StringRef(path).ends_with(".onnx"))
      continue;
    Model model = check(loadModel(path));
    std::vector<Tensor> inputs;
    for (ValueId id : model.graph.inputs) { // as the ONNX backend runner makes them
      Tensor input = Tensor::zeros(ElementType::Float32, model.graph.values[id].shape());
      float count = static_cast<float>(input.size());
      for (int64_t i = 0; i < input.size(); ++i)
        input.mutableValues<float>()[i] = static_cast<float>(i) / count;
      inputs.push_back(input);
    }
    std::string base = llvm::StringRef(path).drop_back(5).str();
    auto expected = check(readNumbered(base + "_output_", ".pb"));
    REQUIRE_FALSE(expected.empty());
    CaseResult result = runCase(path, inputs, expected, {});
    if (std::getenv("NPUCC_TEST_VERBOSE"))
      std::printf("%-40s   %8.1f ms  %s\n", stem(path).c_str(), result.seconds * 1e3,
                  result.message.c_str());
    INFO(stem(path) << ": " << result.message);
    CHECK(result.message.empty());
  }
}
