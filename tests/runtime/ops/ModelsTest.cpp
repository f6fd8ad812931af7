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

/// Runs every folder with model.onnx and test_data_K/input_I.npy, output_I.npy.
int runFolders(const std::string &folder) {
  int sets = 0;
  for (const std::string &model : entries(folder)) {
    if (!llvm::sys::fs::exists(model + "/model.onnx"))
      continue;
    for (int k = 0;; ++k) {
      std::string data = model + "/test_data_" + std::to_string(k);
      if (!llvm::sys::fs::is_directory(data))
        break;
      CaseResult result;
      auto inputs = readNumbered(data + "/input_", ".npy");
      auto outputs = readNumbered(data + "/output_", ".npy");
      if (!inputs)
        result.message = llvm::toString(inputs.takeError());
      if (!outputs)
        result.message += llvm::toString(outputs.takeError());
      if (result.message.empty())
        result = runCase(model + "/model.onnx", *inputs, *outputs, toleranceOf(stem(model)));
      ++sets;
      if (std::getenv("NPUCC_TEST_VERBOSE"))
        std::printf("%-40s %d %8.1f ms  %s\n", stem(model).c_str(), k, result.seconds * 1e3,
                    result.message.empty() ? "ok" : result.message.c_str());
      INFO(stem(model) << " set " << k << ": " << result.message);
      CHECK(result.message.empty());
    }
  }
  return sets;
}

} // namespace

TEST_CASE("reference: real models give their stored outputs", "[reference][models]") {
  std::string shared = sharedFolder();
  if (!shared.empty())
    CHECK(runFolders(shared + "/models") > 0);
}
