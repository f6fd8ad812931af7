//===- Families.h - Parts of the operator families --------------*- C++ -*-===//
//
// Families that fill several files; each family's main file joins its parts.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/ops/Registry.h"

#include <initializer_list>
#include <vector>

namespace npucc::ops {

inline std::vector<OpInfo> join(std::initializer_list<llvm::ArrayRef<OpInfo>> parts) {
  std::vector<OpInfo> result;
  for (llvm::ArrayRef<OpInfo> part : parts)
    result.insert(result.end(), part.begin(), part.end());
  return result;
}

// elementwiseOps
llvm::ArrayRef<OpInfo> unaryOps();
llvm::ArrayRef<OpInfo> binaryOps();
llvm::ArrayRef<OpInfo> castOps();
// shapeOps
llvm::ArrayRef<OpInfo> viewOps();
llvm::ArrayRef<OpInfo> moveOps();
llvm::ArrayRef<OpInfo> padOps();
llvm::ArrayRef<OpInfo> indexOps();
llvm::ArrayRef<OpInfo> generatorOps();
// convolutionOps
llvm::ArrayRef<OpInfo> floatConvolutionOps();
llvm::ArrayRef<OpInfo> integerConvolutionOps();
llvm::ArrayRef<OpInfo> poolingOps();
// matmulOps
llvm::ArrayRef<OpInfo> floatMatmulOps();
llvm::ArrayRef<OpInfo> integerMatmulOps();
llvm::ArrayRef<OpInfo> einsumOps();
llvm::ArrayRef<OpInfo> attentionOps();
// reductionOps
llvm::ArrayRef<OpInfo> reduceOps();
llvm::ArrayRef<OpInfo> axisOps();
llvm::ArrayRef<OpInfo> lossOps();
// quantizationOps
llvm::ArrayRef<OpInfo> quantizeOps();
llvm::ArrayRef<OpInfo> microsoftQuantizedOps();
// imageOps
llvm::ArrayRef<OpInfo> resizeOps();
llvm::ArrayRef<OpInfo> samplingOps();
llvm::ArrayRef<OpInfo> detectionOps();
llvm::ArrayRef<OpInfo> signalOps();

} // namespace npucc::ops
