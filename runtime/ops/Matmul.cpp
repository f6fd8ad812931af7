//===- Matmul.cpp - MatMul and Gemm ---------------------------------------===//

#include "runtime/ops/Matmul.h"
#include "runtime/ops/Families.h"

#include <Eigen/Core>

namespace npucc::ops {

Expected<Shape> matmulShape(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  if (a.empty() || b.empty())
    return fail("operands " + text(a) + " and " + text(b) + " must have rank 1 or more");
  int64_t depthA = a.back(), depthB = b.size() == 1 ? b[0] : b[b.size() - 2];
  if (depthA >= 0 && depthB >= 0 && depthA != depthB)
    return fail("inner dimensions of " + text(a) + " and " + text(b) + " differ");
  NPUCC_TAKE(shape, broadcast(a.drop_back(std::min<size_t>(2, a.size())),
                              b.drop_back(std::min<size_t>(2, b.size()))));
  if (a.size() > 1)
    shape.push_back(a[a.size() - 2]);
  if (b.size() > 1)
    shape.push_back(b.back());
  return shape;
}

Expected<MatmulPlan> planMatmul(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  MatmulPlan plan;
  NPUCC_TAKE(out, matmulShape(a, b));
  plan.out = out;
  plan.rows = a.size() > 1 ? a[a.size() - 2] : 1;
  plan.depth = a.back();
  plan.columns = b.size() > 1 ? b.back() : 1;
  ArrayRef<int64_t> batchA = a.drop_back(std::min<size_t>(2, a.size()));
  ArrayRef<int64_t> batchB = b.drop_back(std::min<size_t>(2, b.size()));
  NPUCC_TAKE(batch, broadcast(batchA, batchB));
  Walk walk = Walk::broadcasting(batch, {batchA, batchB});
  std::optional<int64_t> count = checkedElementCount(batch);
  if (!count || *count > maxTensorBytes()) // the result has as many elements at least, or none
    return fail("batch " + text(batch) + " is out of range");
  plan.left.reserve(*count);
  plan.right.reserve(*count);
  walk.rows([&](const int64_t *offset, int64_t) {
    for (int64_t i = 0; i < walk.rowLength(); ++i) {
      plan.left.push_back(offset[0] + i * walk.innerStride(0));
      plan.right.push_back(offset[1] + i * walk.innerStride(1));
    }
  });
  // Many rows against one right matrix are a single product.
  if (batchA.size() && batchB.empty()) {
    plan.rows *= *count;
    plan.left.resize(std::min<int64_t>(*count, 1));
    plan.right.resize(plan.left.size());
  }
  return plan;
}

Error inferMatmul(InferContext &c, size_t a, size_t b, ElementType type) {
  NPUCC_TRY(require(c, std::max(a, b) + 1));
  auto left = dimsOf(c, a), right = dimsOf(c, b);
  if (left && right)
    return setShape(c, type, matmulShape(*left, *right));
  setOutput(c, 0, type);
  return Error::success();
}

template <typename T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <typename T> using ConstMap = Eigen::Map<const Matrix<T>>;

Expected<Tensor> matmulFloat(const Tensor &a, const Tensor &b) {
  if (a.type() != b.type())
    return fail("operands have different types");
  NPUCC_TAKE(plan, planMatmul(a.shape(), b.shape()));
  NPUCC_TAKE(out, allocate(a.type(), plan.out));
  if (out.size() == 0 || plan.depth == 0)
    return std::move(out);
  if (!dispatchFloat(a.type(), [&](auto tag) {
        using T = decltype(tag);
        for (size_t i = 0; i < plan.left.size(); ++i) {
          ConstMap<T> left(a.values<T>().data() + plan.left[i] * plan.rows * plan.depth, plan.rows,
                           plan.depth);
          ConstMap<T> right(b.values<T>().data() + plan.right[i] * plan.depth * plan.columns,
                            plan.depth, plan.columns);
          Eigen::Map<Matrix<T>> result(out.mutableValues<T>().data() +
                                           static_cast<int64_t>(i) * plan.rows * plan.columns,
                                       plan.rows, plan.columns);
          result.noalias() = left * right;
        }
      }))
    return unsupportedType(a.type());
  return std::move(out);
}

namespace {

/// Integer operands of MatMul and Gemm, modulo 2^64 and truncated; rare, so plain.
template <typename T> void multiplyInteger(const MatmulPlan &plan, const T *a, const T *b, T *y) {
  for (size_t i = 0; i < plan.left.size(); ++i)
    for (int64_t r = 0; r < plan.rows; ++r, y += plan.columns)
      for (int64_t k = 0; k < plan.depth; ++k) {
        uint64_t left = static_cast<uint64_t>(a[(plan.left[i] * plan.rows + r) * plan.depth + k]);
        const T *row = b + (plan.right[i] * plan.depth + k) * plan.columns;
        for (int64_t j = 0; j < plan.columns; ++j)
          y[j] = static_cast<T>(static_cast<uint64_t>(y[j]) + left * static_cast<uint64_t>(row[j]));
      }
}

Expected<Tensor> product(const Tensor &a, const Tensor &b) {
  if (isFloat(a.type()))
    return matmulFloat(a, b);
  if (a.type() != b.type())
    return fail("operands have different types");
  NPUCC_TAKE(plan, planMatmul(a.shape(), b.shape()));
  NPUCC_TAKE(out, allocate(a.type(), plan.out));
  if (!dispatchInteger(a.type(), [&](auto tag) {
        using T = decltype(tag);
        multiplyInteger<T>(plan, a.values<T>().data(), b.values<T>().data(),
                           out.mutableValues<T>().data());
      }))
    return unsupportedType(a.type());
  return std::move(out);
}

Expected<Tensors> matmul(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  NPUCC_TAKE(out, product(inputs[0], inputs[1]));
  return one(out);
}
Error inferMatmulOp(InferContext &c) {
  NPUCC_TRY(oneType(c, 0, 2));
  return inferMatmul(c, 0, 1, typeOf(c, 0));
}

//===----------------------------------------------------------------------===//
// Gemm
//===----------------------------------------------------------------------===//

Expected<Shape> gemmShape(const Node &node, ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  if (a.size() != 2 || b.size() != 2)
    return fail("operands " + text(a) + " and " + text(b) + " must have rank 2");
  bool transA = node.getInt("transA", 0), transB = node.getInt("transB", 0);
  int64_t depthA = a[transA ? 0 : 1], depthB = b[transB ? 1 : 0];
  if (depthA >= 0 && depthB >= 0 && depthA != depthB)
    return fail("inner dimensions of " + text(a) + " and " + text(b) + " differ");
  return Shape{a[transA ? 1 : 0], b[transB ? 0 : 1]};
}

template <typename T> Tensor transposed(const Tensor &x) {
  int64_t rows = x.shape()[0], columns = x.shape()[1];
  Tensor out = Tensor::zeros(x.type(), {columns, rows});
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      out.mutableValues<T>()[j * rows + i] = x.values<T>()[i * columns + j];
  return out;
}

/// y = alpha * op(a) * op(b) + beta * c
template <typename T>
void gemmFloat(const Tensor &a, const Tensor &b, bool transA, bool transB, T alpha, T *y) {
  ConstMap<T> left(a.values<T>().data(), a.shape()[0], a.shape()[1]);
  ConstMap<T> right(b.values<T>().data(), b.shape()[0], b.shape()[1]);
  int64_t rows = a.shape()[transA ? 1 : 0], columns = b.shape()[transB ? 0 : 1];
  Eigen::Map<Matrix<T>> result(y, rows, columns);
  if (transA && transB)
    result.noalias() = left.transpose() * right.transpose();
  else if (transA)
    result.noalias() = left.transpose() * right;
  else if (transB)
    result.noalias() = left * right.transpose();
  else
    result.noalias() = left * right;
  if (alpha != T(1))
    result *= alpha;
}

Expected<Tensors> gemm(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &a = inputs[0], &b = inputs[1];
  NPUCC_TAKE(shape, gemmShape(node, a.shape(), b.shape()));
  bool transA = node.getInt("transA", 0), transB = node.getInt("transB", 0);
  float alpha = node.getFloat("alpha", 1), beta = node.getFloat("beta", 1);
  bool biased = present(inputs, 2) && beta != 0;
  if (a.type() != b.type() || (biased && inputs[2].type() != a.type()))
    return fail("inputs have different types");
  if (biased && !broadcastsTo(inputs[2].shape(), shape))
    return fail("C " + text(inputs[2].shape()) + " does not broadcast to " + text(shape));
  NPUCC_TAKE(out, allocate(a.type(), shape));
  bool empty = a.size() == 0 || b.size() == 0;
  if (!dispatchNumeric(a.type(), [&](auto tag) {
        using T = decltype(tag);
        T *y = out.mutableValues<T>().data();
        if constexpr (std::is_floating_point_v<T>) {
          if (!empty)
            gemmFloat<T>(a, b, transA, transB, static_cast<T>(alpha), y);
        } else if (!empty) {
          Tensor left = transA ? transposed<T>(a) : a, right = transB ? transposed<T>(b) : b;
          if (auto plan = planMatmul(left.shape(), right.shape()))
            multiplyInteger<T>(*plan, left.values<T>().data(), right.values<T>().data(), y);
          else
            llvm::consumeError(plan.takeError()); // gemmShape has checked
          for (int64_t i = 0; alpha != 1 && i < out.size(); ++i)
            y[i] = saturate<T>(static_cast<double>(y[i]) * alpha);
        }
        if (!biased)
          return;
        Walk walk = Walk::broadcasting(shape, {inputs[2].shape()});
        const T *c = inputs[2].values<T>().data();
        walk.rows([&](const int64_t *offset, int64_t first) {
          for (int64_t i = 0; i < walk.rowLength(); ++i) {
            T term = c[offset[0] + i * walk.innerStride(0)];
            if constexpr (std::is_integral_v<T>)
              y[first + i] = static_cast<T>(
                  static_cast<uint64_t>(y[first + i]) +
                  static_cast<uint64_t>(beta == 1 ? term
                                                  : saturate<T>(beta * static_cast<double>(term))));
            else
              y[first + i] += beta == 1 ? term : static_cast<T>(beta * term);
          }
        });
      }))
    return unsupportedType(a.type());
  return one(out);
}

Error inferGemm(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  NPUCC_TRY(oneType(c, 0, 3));
  auto a = dimsOf(c, 0), b = dimsOf(c, 1), term = dimsOf(c, 2);
  if (a && b) {
    NPUCC_TAKE(shape, gemmShape(c.node, *a, *b));
    if (term && isStatic(*term) && isStatic(shape) && !broadcastsTo(*term, shape))
      return fail("C " + text(*term) + " does not broadcast to " + text(shape));
    setOutput(c, 0, typeOf(c, 0), shape);
    return Error::success();
  }
  setOutput(c, 0, typeOf(c, 0), unknown(2));
  return Error::success();
}
int64_t gemmMacs(const Node &node, ArrayRef<const Value *> inputs,
                 ArrayRef<const Value *> outputs) {
  if (inputs.empty() || outputs.empty())
    return 0;
  auto a = dimsOf(inputs[0]), y = dimsOf(outputs[0]);
  if (!a || !y || a->size() != 2 || !isStatic(*a) || !isStatic(*y))
    return 0;
  return ops::product({ops::product(*y), (*a)[node.getInt("transA", 0) ? 0 : 1]});
}

} // namespace

llvm::ArrayRef<OpInfo> floatMatmulOps() {
  static const OpInfo table[] = {
      {"", "MatMul", 13, inferMatmulOp, widened<matmul>, matmulMacs<0>},
      {"", "Gemm", 13, inferGemm, widened<gemm>, gemmMacs},
  };
  return table;
}

} // namespace npucc::ops

llvm::ArrayRef<npucc::OpInfo> npucc::matmulOps() {
  static const std::vector<OpInfo> all = ops::join(
      {ops::floatMatmulOps(), ops::integerMatmulOps(), ops::einsumOps(), ops::attentionOps()});
  return all;
}
