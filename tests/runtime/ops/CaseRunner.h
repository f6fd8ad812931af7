//===- CaseRunner.h - Runs ONNX models with stored data ---------*- C++ -*-===//
#pragma once

#include "runtime/onnx/Loader.h"
#include "runtime/reference/Reference.h"
#include "tests/runtime/TestSupport.h"

#include <cmath>

namespace npucc::test {

/// How a case ended; an empty message means well.
struct CaseResult {
  std::string message;
  double seconds = 0; ///< evaluation only
};

/// How close floats must come to what is expected.
struct Tolerance {
  double largest = 1e-3; ///< any difference, relative to the largest magnitude
  double rms = INFINITY; ///< root of the mean square difference, relative to the values'
};

/// "" when `actual` is as `expected`: integers exactly, floats within the tolerance.
std::string compare(const Tensor &actual, const Tensor &expected, const Tolerance &tolerance);

/// Loads, prepares for the inputs' shapes, evaluates and compares.
CaseResult runCase(const std::string &model, llvm::ArrayRef<Tensor> inputs,
                   llvm::ArrayRef<Tensor> expected, const Tolerance &tolerance);

/// PREFIX0SUFFIX, PREFIX1SUFFIX, ... as far as they exist: .npy or .pb files.
llvm::Expected<std::vector<Tensor>> readNumbered(const std::string &prefix,
                                                 const std::string &suffix);

/// Folders (or files) in a folder, sorted.
std::vector<std::string> entries(const std::string &folder);

} // namespace npucc::test
