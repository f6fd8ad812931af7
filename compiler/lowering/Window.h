//===- Window.h - Sliding windows of convolutions and pools -------*- C++ -*-===//
#pragma once

#include "compiler/lowering/Build.h"

namespace npucc::lowering {

/// Per spatial dimension. `low` and `high` are what the windows really reach beyond the input,
/// whatever the node's pads say (ceil_mode reaches further, floor mode less far).
struct Window {
  Ints kernel, stride, dilation, low, high;
  size_t rank() const { return kernel.size(); }
};

/// From the node's attributes; nullopt where they do not fit the rank.
std::optional<Window> windowOf(LoweringContext &c, llvm::ArrayRef<int64_t> kernel,
                               llvm::ArrayRef<int64_t> input, llvm::ArrayRef<int64_t> output);
/// Pads dimensions 2, 3, ... by low and high.
mlir::Value padSpatial(LoweringContext &c, mlir::Value storage, const Window &window,
                       mlir::TypedAttr value);
/// out * stride + kernel * dilation.
mlir::AffineExpr windowExpr(mlir::OpBuilder &b, const Window &window, size_t i, int64_t outDim,
                            int64_t kernelDim);

/// The sums of a convolution, in the accumulator's type. `x` is [N, C, ...] not yet padded,
/// `w` is [M, C / groups, ...]; the maps of both are filled in.
mlir::Value convolve(LoweringContext &c, Factor x, Factor w, const Window &window, int64_t groups,
                     llvm::ArrayRef<int64_t> outputSpatial);

} // namespace npucc::lowering
