//===- LinalgOracle.h - Runs lowered graphs without the NPU -------*- C++ -*-===//
//
// Proves the lowering by itself: the linalg ops run through MLIR's own loops and JIT,
// and the results are compared with the reference's evaluation of the ONNX graph.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Loader.h"

#include <string>
#include <vector>

namespace npucc::test {

struct OracleOptions {
  std::string storage; ///< of convert-onnx-to-linalg
  bool fuse = true;
  bool run = true;      ///< false: lower only
  bool print = false;   ///< the IR after lowering, on stderr
  /// Results of this operator are compared, and their users get the reference's values
  /// instead: rounding in one layer then does not grow in the next.
  std::string cutAt;
  Bindings bindings;
  std::vector<Tensor> inputs; ///< empty: random
  uint64_t seed = 1;
};

struct OracleResult {
  std::vector<std::string> hostNodes; ///< "name: operator: reason"
  size_t outputs = 0;                 ///< compared tensors
  /// Over all outputs: max |difference| ÷ max |reference| of floats.
  double worstRelative = 0;
  int64_t integerMismatches = 0, integerElements = 0;
  int64_t largestIntegerError = 0;
  size_t generics = 0; ///< linalg.generic ops after all
};

llvm::Expected<OracleResult> runOracle(Model &model, const OracleOptions &options);

} // namespace npucc::test
