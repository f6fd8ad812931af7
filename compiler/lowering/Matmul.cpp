//===- Matmul.cpp - MatMul, Gemm and their integer forms ----------------------===//

#include "compiler/lowering/Quantized.h"

using namespace mlir;

namespace npucc::lowering {

namespace {
/// Which dimensions of a factor are rows or columns (-1: it is a vector).
struct MatrixDims {
  int64_t outer, inner;
};
} // namespace

/// Sums of a (broadcasting) product of matrices: result shape `shape`, whose last dimensions
/// are rows and columns as far as the operands are matrices.
static Value multiply(LoweringContext &c, Factor a, Factor b, bool transposeA, bool transposeB,
                      ArrayRef<int64_t> shape) {
  Ints as(shapeOf(a.tensor)), bs(shapeOf(b.tensor));
  bool rows = as.size() > 1, columns = bs.size() > 1;
  int64_t rank = shape.size(), batch = rank - rows - columns;
  int64_t m = batch, n = batch + rows, k = rank;
  auto side = [&](Factor &f, const Ints &sizes, bool isMatrix, MatrixDims dims, bool innerFirst) {
    Ints loops, kept;
    int64_t leading = isMatrix ? sizes.size() - 2 : 0;
    for (int64_t d = 0; d < leading; ++d) {
      int64_t loop = batch - leading + d;
      if (sizes[d] != shape[loop])
        continue; // broadcasts
      loops.push_back(loop);
      kept.push_back(sizes[d]);
    }
    for (int64_t d = leading; d < static_cast<int64_t>(sizes.size()); ++d)
      kept.push_back(sizes[d]);
    if (!isMatrix) {
      loops.push_back(dims.inner);
    } else if (innerFirst) {
      loops.push_back(dims.inner);
      loops.push_back(dims.outer);
    } else {
      loops.push_back(dims.outer);
      loops.push_back(dims.inner);
    }
    f.tensor = reshape(c, f.tensor, kept);
    f.map = dimsMap(c, rank + 1, loops);
  };
  side(a, as, rows, {m, k}, transposeA);
  side(b, bs, columns, {n, k}, !transposeB);
  return contract(c, a, b, dimsMap(c, rank + 1, iota(rank)), shape);
}

/// True where per-channel scales of `b` run along the columns of the product.
static bool scalesColumns(const Quantized &b, bool transposeB) {
  if (!b.scales)
    return true;
  int64_t rank = LoweringContext::typeOf(b.integers).getRank();
  return rank >= 2 && b.axis == (transposeB ? rank - 2 : rank - 1);
}

static LogicalResult lowerMatMul(onnx::NodeOp, LoweringContext &c) {
  RankedTensorType type = c.resultType();
  if (c.shape(0).empty() || c.shape(1).empty())
    return c.refuse("an operand is a scalar");
  auto a = matchDequantize(c, c.input(0)), b = matchDequantize(c, c.input(1));
  if (a && b && !a->scales && scalesColumns(*b, false) && type.getElementType().isF32()) {
    Value sums =
        multiply(c, integerFactor(c, *a), integerFactor(c, *b), false, false, type.getShape());
    return c.result(
        scaleSums(c, sums, productScale(c, *a, *b, 1, type.getRank() - 1), std::nullopt, type));
  }
  Value sums =
      multiply(c, Factor{c.tensor(0), c.element(0), AffineMap()},
               Factor{c.tensor(1), c.element(1), AffineMap()}, false, false, type.getShape());
  return c.result(toStorage(c, sums, type));
}

static LogicalResult lowerGemm(onnx::NodeOp, LoweringContext &c) {
  RankedTensorType type = c.resultType();
  bool transposeA = c.getInt("transA", 0), transposeB = c.getInt("transB", 0);
  double alpha = c.getFloat("alpha", 1), beta = c.getFloat("beta", 1);
  if (c.shape(0).size() != 2 || c.shape(1).size() != 2)
    return c.refuse("operands are not matrices");
  Type accumulator = accumulatorType(c.element(0));
  if (!isFloat(accumulator) && (alpha != 1 || beta != 1))
    return c.refuse("alpha or beta with integers");
  std::optional<Arg> bias;
  if (c.has(2) && beta != 0)
    bias = c.arg(2);

  auto a = matchDequantize(c, c.input(0)), b = matchDequantize(c, c.input(1));
  bool integers = a && b && !a->scales && scalesColumns(*b, transposeB) && alpha == 1 &&
                  type.getElementType().isF32();
  if (integers && beta == 1) {
    Value sums = multiply(c, integerFactor(c, *a), integerFactor(c, *b), transposeA, transposeB,
                          type.getShape());
    return c.result(scaleSums(c, sums, productScale(c, *a, *b, 1, 1), bias, type));
  }

  Value sums = multiply(c, Factor{c.tensor(0), c.element(0), AffineMap()},
                        Factor{c.tensor(1), c.element(1), AffineMap()}, transposeA, transposeB,
                        type.getShape());
  if (!bias && alpha == 1)
    return c.result(toStorage(c, sums, type));
  SmallVector<Arg> args{c.tensorArg(sums, accumulator)};
  if (bias)
    args.push_back(*bias);
  return c.result(elementwise(c, args, type, [&](Scalar &s, ArrayRef<Value> x) {
    Value y = x[0];
    if (alpha != 1)
      y = s.mul(y, s.constant(alpha));
    if (!bias)
      return y;
    return s.add(y, beta != 1 ? s.mul(x[1], s.constant(beta)) : x[1]);
  }));
}

static std::optional<int64_t> zeroPoint(LoweringContext &c, unsigned i) {
  if (!c.has(i))
    return 0;
  auto values = c.ints(i);
  if (!values || values->empty() || !llvm::all_equal(*values))
    return std::nullopt;
  return values->front();
}

static LogicalResult lowerMatMulInteger(onnx::NodeOp, LoweringContext &c) {
  auto za = zeroPoint(c, 2), zb = zeroPoint(c, 3);
  if (!za || !zb)
    return c.refuse("zero points are not constant, or differ per row or column");
  if (c.shape(0).empty() || c.shape(1).empty())
    return c.refuse("an operand is a scalar");
  return c.result(multiply(c, Factor{c.tensor(0), c.element(0), AffineMap(), *za},
                           Factor{c.tensor(1), c.element(1), AffineMap(), *zb}, false, false,
                           c.resultType().getShape()));
}

static LogicalResult lowerQLinearMatMul(onnx::NodeOp, LoweringContext &c) {
  // a, scale, zero point, b, scale, zero point, y scale, zero point
  RankedTensorType type = c.resultType();
  auto a = quantized(c, c.input(0), c.input(1), c.input(2), 0);
  auto b = quantized(c, c.input(3), c.input(4), c.input(5), -1);
  auto y = quantized(c, c.node.getOutputs()[0], c.input(6), c.input(7), 0);
  if (!a || !b || !y || a->scales || y->scales)
    return c.refuse("scales or zero points are not constant, or differ per row");
  if (c.shape(0).empty() || c.shape(3).empty())
    return c.refuse("an operand is a scalar");
  Value sums =
      multiply(c, integerFactor(c, *a), integerFactor(c, *b), false, false, type.getShape());
  return c.result(requantizeSums(c, sums, productScale(c, *a, *b, y->scale, type.getRank() - 1),
                                 std::nullopt, y->zeroPoint, type));
}

ArrayRef<Lowering> matmulLowerings() {
  static const Lowering entries[] = {{"", "MatMul", lowerMatMul},
                                     {"", "Gemm", lowerGemm},
                                     {"", "MatMulInteger", lowerMatMulInteger},
                                     {"", "QLinearMatMul", lowerQLinearMatMul}};
  return entries;
}

} // namespace npucc::lowering
