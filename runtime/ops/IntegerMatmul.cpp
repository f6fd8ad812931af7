//===- IntegerMatmul.cpp - MatMulInteger and QLinearMatMul ----------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/IntegerGemm.h"
#include "runtime/ops/Matmul.h"
#include "runtime/ops/Quantized.h"

namespace npucc::ops {
namespace {

/// Zero points (or scales) of the left operand count rows, of the right one columns.
int64_t axisLength(const Tensor &x, bool left) {
  if (x.rank() < 2)
    return 1;
  return left ? x.shape()[x.rank() - 2] : x.shape().back();
}

/// [matrices, depth, columns] to [matrices, columns, depth], less its zero points.
Expected<std::vector<int16_t>> transposedRight(const Tensor &b, ArrayRef<int32_t> zero,
                                               int64_t depth, int64_t columns) {
  NPUCC_TAKE(plain, centred(b, zero, 1)); // one zero point per column, cyclically
  std::vector<int16_t> result(plain.size());
  int64_t size = depth * columns;
  for (int64_t m = 0; size && m < b.size() / size; ++m)
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t j = 0; j < columns; ++j)
        result[m * size + j * depth + k] = plain[m * size + k * columns + j];
  return result;
}

Expected<Tensor> multiply(const Tensor &a, ArrayRef<int32_t> zeroA, const Tensor &b,
                          ArrayRef<int32_t> zeroB) {
  NPUCC_TAKE(plan, planMatmul(a.shape(), b.shape()));
  NPUCC_TAKE(out, allocate(ElementType::Int32, plan.out));
  NPUCC_TAKE(left, centred(a, zeroA, plan.depth));
  NPUCC_TAKE(right, transposedRight(b, zeroB, plan.depth, plan.columns));
  if (out.size() == 0)
    return std::move(out);
  for (size_t i = 0; i < plan.left.size(); ++i)
    integerGemm(left.data() + plan.left[i] * plan.rows * plan.depth,
                right.data() + plan.right[i] * plan.depth * plan.columns,
                out.mutableValues<int32_t>().data() +
                    static_cast<int64_t>(i) * plan.rows * plan.columns,
                plan.rows, plan.columns, plan.depth, plan.columns);
  return std::move(out);
}

Expected<Tensors> matmulInteger(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  NPUCC_TAKE(zeroA, zeroPoints(inputs, 2, axisLength(inputs[0], true)));
  NPUCC_TAKE(zeroB, zeroPoints(inputs, 3, axisLength(inputs[1], false)));
  NPUCC_TAKE(out, multiply(inputs[0], zeroA, inputs[1], zeroB));
  return one(out);
}

Expected<Tensors> qLinearMatmul(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 8));
  const Tensor &a = inputs[0], &b = inputs[3];
  int64_t rows = axisLength(a, true), columns = axisLength(b, false);
  NPUCC_TAKE(scaleA, scales(inputs, 1, rows));
  NPUCC_TAKE(zeroA, zeroPoints(inputs, 2, rows));
  NPUCC_TAKE(scaleB, scales(inputs, 4, columns));
  NPUCC_TAKE(zeroB, zeroPoints(inputs, 5, columns));
  NPUCC_TAKE(scaleY, scales(inputs, 6, rows));
  NPUCC_TAKE(zeroY, zeroPoints(inputs, 7, rows));
  NPUCC_TAKE(acc, multiply(a, zeroA, b, zeroB));
  ElementType type = inputs[7].type();
  NPUCC_TAKE(out, allocate(type, acc.shape()));
  const int32_t *from = acc.values<int32_t>().data();
  bool perColumn = scaleB.size() > 1;
  int64_t run = perColumn ? 1 : columns;
  for (int64_t i = 0; i < acc.size(); i += run) {
    int64_t row = columns ? i / columns % rows : 0, column = i % columns;
    float multiplier = scaleA[scaleA.size() > 1 ? row : 0] * scaleB[perColumn ? column : 0] /
                       scaleY[scaleY.size() > 1 ? row : 0];
    requantize(from + i, run, multiplier, zeroY[zeroY.size() > 1 ? row : 0], type,
               out.mutableData() + i);
  }
  return one(out);
}

Error inferMatmulInteger(InferContext &c) { return inferMatmul(c, 0, 1, ElementType::Int32); }
Error inferQLinearMatmul(InferContext &c) {
  NPUCC_TRY(require(c, 8));
  return inferMatmul(c, 0, 3, typeOf(c, 7));
}

} // namespace

llvm::ArrayRef<OpInfo> integerMatmulOps() {
  static const OpInfo table[] = {
      {"", "MatMulInteger", 10, inferMatmulInteger, matmulInteger, matmulMacs<0>},
      {"", "QLinearMatMul", 21, inferQLinearMatmul, qLinearMatmul, matmulMacs<0>},
  };
  return table;
}

} // namespace npucc::ops
