//===- Cases.cpp - Models with stored inputs and outputs --------------------===//

#include "tests/conformance/Cases.h"

#include "runtime/onnx/Loader.h"
#include "tests/runtime/ops/CaseRunner.h"

#include "llvm/Support/Path.h"

namespace npucc::test {

std::vector<Case> findCases(const std::string &folder) {
  std::vector<Case> cases;
  for (const std::string &path : entries(folder)) {
    Case found{llvm::sys::path::stem(path).str(), path, {}};
    if (llvm::StringRef(path).ends_with(".onnx")) {
      found.sets = {""};
    } else {
      found.name = llvm::sys::path::filename(path).str();
      found.model += "/model.onnx";
      if (!llvm::sys::fs::exists(found.model))
        continue;
      std::string set = path + "/test_data_set_0";
      for (int k = 1; llvm::sys::fs::is_directory(set); ++k) {
        found.sets.push_back(set + "/");
        set = path + "/test_data_set_" + std::to_string(k);
      }
    }
    cases.push_back(std::move(found));
  }
  return cases;
}

/// As ONNX's backend runner makes them: 0, 1/n, 2/n, ...
static llvm::Expected<std::vector<Tensor>> lightInputs(const std::string &path) {
  llvm::Expected<Model> model = loadModel(path);
  if (!model)
    return model.takeError();
  std::vector<Tensor> inputs;
  for (ValueId id : model->graph.inputs) {
    Tensor input = Tensor::zeros(ElementType::Float32, model->graph.values[id].shape());
    auto count = static_cast<float>(input.size());
    for (int64_t i = 0; i < input.size(); ++i)
      input.mutableValues<float>()[i] = static_cast<float>(i) / count;
    inputs.push_back(input);
  }
  return inputs;
}

llvm::Expected<CaseData> readData(const Case &test, const std::string &set) {
  bool isLight = set.empty();
  std::string prefix = isLight ? llvm::StringRef(test.model).drop_back(5).str() + "_" : set;
  auto inputs = isLight ? lightInputs(test.model) : readNumbered(prefix + "input_", ".pb");
  if (!inputs)
    return inputs.takeError();
  auto outputs = readNumbered(prefix + "output_", ".pb");
  if (!outputs)
    return outputs.takeError();
  return CaseData{std::move(*inputs), std::move(*outputs)};
}

std::string throughReference(const std::string &model, const CaseData &data) {
  return runCase(model, data.inputs, data.outputs, {}).message;
}

} // namespace npucc::test
