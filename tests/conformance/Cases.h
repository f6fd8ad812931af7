//===- Cases.h - Models with stored inputs and outputs ------------*- C++ -*-===//
#pragma once

#include "runtime/tensor/Tensor.h"

#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace npucc::test {

struct Case {
  std::string name, model; ///< name of its folder; path of the file
  /// What precedes "input_0.pb" and "output_0.pb" of each data set. Empty: ONNX's light models,
  /// whose inputs the backend runner makes, with MODEL_output_0.pb beside the file.
  std::vector<std::string> sets;
};

struct CaseData {
  std::vector<Tensor> inputs, outputs;
};

/// The cases in a folder: NAME/model.onnx with NAME/test_data_set_K/, and NAME.onnx.
std::vector<Case> findCases(const std::string &folder);

llvm::Expected<CaseData> readData(const Case &test, const std::string &set);

/// Once, before the first call of throughNpucc().
void setUpNpucc();
/// Compiles for `edge`, simulates with data, and compares: "" or what is wrong. In a process of
/// its own, so that a crash or a hang is the failure of one case.
std::string throughNpucc(const std::string &model, const CaseData &data);

/// Loads, prepares, evaluates and compares, in the same way.
std::string throughReference(const std::string &model, const CaseData &data);

} // namespace npucc::test
