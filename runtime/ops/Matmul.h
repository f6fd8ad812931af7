//===- Matmul.h - Batched matrix products -----------------------*- C++ -*-===//
#pragma once

#include "runtime/ops/Support.h"

namespace npucc::ops {

/// numpy.matmul of [batch..., rows, depth] and [batch..., depth, columns]; 1-D
/// operands are rows or columns that vanish from the result.
struct MatmulPlan {
  int64_t rows, depth, columns;
  Shape out;                        ///< result shape
  std::vector<int64_t> left, right; ///< matrix number per batch entry
};

Expected<Shape> matmulShape(ArrayRef<int64_t> a, ArrayRef<int64_t> b);
Expected<MatmulPlan> planMatmul(ArrayRef<int64_t> a, ArrayRef<int64_t> b);

/// Shape rule for operands at inputs `a` and `b`.
Error inferMatmul(InferContext &c, size_t a, size_t b, ElementType type);
/// Product of the result's elements and the depth of input A.
template <size_t A>
int64_t matmulMacs(const Node &, llvm::ArrayRef<const Value *> inputs,
                   llvm::ArrayRef<const Value *> outputs) {
  if (inputs.size() <= A || outputs.empty())
    return 0;
  auto a = dimsOf(inputs[A]), y = dimsOf(outputs[0]);
  if (!a || !y || a->empty() || !isStatic(*a) || !isStatic(*y))
    return 0;
  return product({product(*y), a->back()});
}

/// fp32 or fp64 tensors of one type.
Expected<Tensor> matmulFloat(const Tensor &a, const Tensor &b);

} // namespace npucc::ops
