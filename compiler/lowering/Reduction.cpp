//===- Reduction.cpp - Reduce*, Softmax, ArgMax -------------------------------===//

#include "compiler/lowering/Build.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include <limits>

using namespace mlir;

namespace npucc::lowering {

/// The axes of a Reduce* node, sorted; nullopt when they are not constant.
static std::optional<Ints> reducedAxes(LoweringContext &c) {
  int64_t rank = c.shape(0).size();
  Ints axes;
  if (c.has(1)) {
    auto given = c.ints(1);
    if (!given)
      return std::nullopt;
    axes = *given;
  }
  if (axes.empty())
    return c.getInt("noop_with_empty_axes", 0) ? Ints() : iota(rank);
  for (int64_t &axis : axes)
    axis = wrap(axis, rank);
  llvm::sort(axes);
  return axes;
}

static Ints without(ArrayRef<int64_t> shape, ArrayRef<int64_t> axes) {
  Ints result;
  for (auto [d, size] : llvm::enumerate(shape))
    if (!llvm::is_contained(axes, static_cast<int64_t>(d)))
      result.push_back(size);
  return result;
}

static LogicalResult lowerReduce(onnx::NodeOp node, LoweringContext &c) {
  StringRef op = node.getOpType();
  op.consume_front("Reduce");
  auto axes = reducedAxes(c);
  if (!axes)
    return c.refuse("axes are not constant");
  if (axes->empty())
    return c.refuse("reduces no axis");
  RankedTensorType type = c.resultType();
  Type element = c.element(0);
  ArrayRef<int64_t> shape = c.shape(0);
  bool real = isFloat(element);
  if (element.isInteger(1))
    return c.refuse("reductions of booleans");
  if (!real && (op == "L2" || op == "LogSum" || op == "LogSumExp"))
    return c.refuse("operand is not of a floating-point type");
  Arg x = c.arg(0);
  RankedTensorType small = type.clone(without(shape, *axes));
  Type compute = isFloat(element) ? computeType(element) : element;

  Value result;
  auto zero = [](Scalar &s) { return s.integer(0); };
  if (op == "LogSumExp") {
    Value top = reduce(c, x, shape, *axes, Reduction::Max);
    Ints kept = iota(shape.size());
    llvm::erase_if(kept, [&](int64_t d) { return llvm::is_contained(*axes, d); });
    Arg shift = c.tensorArg(top, compute, kept);
    Value sum =
        reduce(c, {x, shift}, shape, *axes, compute, zero,
               [](Scalar &s, ArrayRef<Value> v) { return s.add(v[2], s.exp(s.sub(v[0], v[1]))); });
    result = elementwise(c, {c.tensorArg(sum, compute), c.tensorArg(top, compute)}, small,
                         [](Scalar &s, ArrayRef<Value> v) { return s.add(s.log(v[0]), v[1]); });
    return c.result(reshape(c, result, type.getShape()));
  }

  if (op == "Max" || op == "Min" || op == "Prod") {
    result = reduce(c, x, shape, *axes,
                    op == "Max"   ? Reduction::Max
                    : op == "Min" ? Reduction::Min
                                  : Reduction::Product);
  } else {
    result = reduce(c, {x}, shape, *axes, element, zero, [&](Scalar &s, ArrayRef<Value> v) {
      Value term = v[0];
      if (op == "L1")
        term = s.abs(term);
      else if (op == "L2" || op == "SumSquare")
        term = s.mul(term, term);
      return s.add(v[1], term);
    });
  }
  int64_t count =
      std::max<int64_t>(product(shape) / std::max<int64_t>(product(small.getShape()), 1), 1);
  if (op == "Mean" || op == "L2" || op == "LogSum") {
    result =
        elementwise(c, {c.tensorArg(result, compute)}, small, [&](Scalar &s, ArrayRef<Value> v) {
          if (op == "L2")
            return s.sqrt(v[0]);
          if (op == "LogSum")
            return s.log(v[0]);
          if (!s.real())
            return s.div(v[0], s.integer(count));
          return s.mul(v[0], s.constant(1.0 / static_cast<double>(count)));
        });
  } else {
    result = toStorage(c, result, small);
  }
  return c.result(reshape(c, result, type.getShape()));
}

static LogicalResult lowerSoftmax(onnx::NodeOp node, LoweringContext &c) {
  RankedTensorType type = c.resultType();
  ArrayRef<int64_t> shape = c.shape(0);
  int64_t rank = shape.size();
  if (rank == 0 || !isFloat(c.element(0)))
    return c.refuse("operand is a scalar, or not of a floating-point type");
  int64_t axis = wrap(c.getInt("axis", -1), rank);
  Type compute = computeType(c.element(0));
  Ints kept = iota(rank);
  kept.erase(kept.begin() + axis);
  Arg x = c.arg(0);
  Value top = reduce(c, x, shape, {axis}, Reduction::Max);
  Arg shift = c.tensorArg(top, compute, kept);
  auto zero = [](Scalar &s) { return s.constant(0); };
  if (node.getOpType() == "LogSoftmax") {
    Value sum =
        reduce(c, {x, shift}, shape, {axis}, compute, zero,
               [](Scalar &s, ArrayRef<Value> v) { return s.add(v[2], s.exp(s.sub(v[0], v[1]))); });
    return c.result(elementwise(
        c, {x, shift, c.tensorArg(sum, compute, kept)}, type,
        [](Scalar &s, ArrayRef<Value> v) { return s.sub(s.sub(v[0], v[1]), s.log(v[2])); }));
  }
  Value powers = elementwise(c, {x, shift}, shape, compute, compute,
                             [](Scalar &s, ArrayRef<Value> v) { return s.exp(s.sub(v[0], v[1])); });
  Arg power = c.tensorArg(powers, compute);
  Value sum = reduce(c, power, shape, {axis}, Reduction::Sum);
  return c.result(elementwise(c, {power, c.tensorArg(sum, compute, kept)}, type,
                              [](Scalar &s, ArrayRef<Value> v) { return s.div(v[0], v[1]); }));
}

/// Hardmax and TopK stay on the host. The position of an extreme: the extreme, then the first or
/// last position that is not behind it (so that a NaN has a position, too).
static LogicalResult lowerArg(onnx::NodeOp node, LoweringContext &c) {
  bool largest = node.getOpType() == "ArgMax";
  bool last = c.getInt("select_last_index", 0) != 0;
  ArrayRef<int64_t> shape = c.shape(0);
  int64_t rank = shape.size();
  if (rank == 0)
    return c.refuse("operand is a scalar");
  int64_t axis = wrap(c.getInt("axis", 0), rank), none = last ? -1 : shape[axis];
  if (shape[axis] == 1) // a dimension of 1 has no loop to take the position from
    return c.refuse("the axis has one element");
  Type i64 = c.b.getI64Type();
  Ints kept = iota(rank);
  kept.erase(kept.begin() + axis);
  Arg x = c.arg(0);
  Value extreme = reduce(c, x, shape, {axis}, largest ? Reduction::Max : Reduction::Min);
  Arg best = c.tensorArg(extreme, computeType(c.element(0)), kept);
  Value index = reduce(
      c, {x, best}, shape, {axis}, i64, [&](Scalar &s) { return s.of(i64).integer(none); },
      [&](Scalar &s, ArrayRef<Value> v) {
        Scalar integers = s.of(i64);
        Value here =
            arith::IndexCastOp::create(s.b, s.loc, i64, linalg::IndexOp::create(s.b, s.loc, axis));
        Value behind =
            s.of(c.element(0)).compare(largest ? Compare::Less : Compare::Greater, v[0], v[1]);
        Value found = s.select(behind, integers.integer(none), here);
        return last ? integers.max(v[2], found) : integers.min(v[2], found);
      });
  return c.result(reshape(c, index, c.resultType().getShape()));
}

ArrayRef<Lowering> reductionLowerings() {
  static const Lowering entries[] = {{"", "ReduceSum", lowerReduce},
                                     {"", "ReduceMean", lowerReduce},
                                     {"", "ReduceMax", lowerReduce},
                                     {"", "ReduceMin", lowerReduce},
                                     {"", "ReduceProd", lowerReduce},
                                     {"", "ReduceL1", lowerReduce},
                                     {"", "ReduceL2", lowerReduce},
                                     {"", "ReduceLogSum", lowerReduce},
                                     {"", "ReduceLogSumExp", lowerReduce},
                                     {"", "ReduceSumSquare", lowerReduce},
                                     {"", "Softmax", lowerSoftmax},
                                     {"", "LogSoftmax", lowerSoftmax},
                                     {"", "ArgMax", lowerArg},
                                     {"", "ArgMin", lowerArg}};
  return entries;
}

} // namespace npucc::lowering
