//===- ElementwiseBinary.cpp - Arithmetic, comparisons, Where -----------------===//

#include "compiler/lowering/Build.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace npucc::lowering {

namespace {
struct Binary {
  const char *op;
  Value (*build)(Scalar &, Value, Value);
  bool variadic = false;
};
} // namespace

template <Compare Kind> static Value compare(Scalar &s, Value x, Value y) {
  return s.compare(Kind, x, y);
}
static Value add(Scalar &s, Value x, Value y) { return s.add(x, y); }
static Value bitAnd(Scalar &s, Value x, Value y) { return s.bitAnd(x, y); }
static Value bitOr(Scalar &s, Value x, Value y) { return s.bitOr(x, y); }
static Value bitXor(Scalar &s, Value x, Value y) { return s.bitXor(x, y); }

static const Binary kBinaries[] = {
    {"Add", add},
    {"Sub", [](Scalar &s, Value x, Value y) { return s.sub(x, y); }},
    {"Mul", [](Scalar &s, Value x, Value y) { return s.mul(x, y); }},
    {"Div", [](Scalar &s, Value x, Value y) { return s.div(x, y); }},
    {"Max", [](Scalar &s, Value x, Value y) { return s.max(x, y); }, true},
    {"Min", [](Scalar &s, Value x, Value y) { return s.min(x, y); }, true},
    {"Sum", add, true},
    {"Equal", compare<Compare::Equal>},
    {"Less", compare<Compare::Less>},
    {"Greater", compare<Compare::Greater>},
    {"LessOrEqual", compare<Compare::LessOrEqual>},
    {"GreaterOrEqual", compare<Compare::GreaterOrEqual>},
    {"And", bitAnd},
    {"Or", bitOr},
    {"Xor", bitXor},
    {"BitwiseAnd", bitAnd},
    {"BitwiseOr", bitOr},
    {"BitwiseXor", bitXor},
};

static LogicalResult lowerBinary(onnx::NodeOp node, LoweringContext &c) {
  const auto *entry =
      llvm::find_if(kBinaries, [&](const Binary &e) { return node.getOpType() == e.op; });
  if (entry == std::end(kBinaries))
    return failure();
  SmallVector<Arg> args;
  for (unsigned i = 0; i < c.numInputs(); ++i)
    args.push_back(c.arg(i));
  if (args.empty() || (args.size() != 2 && !entry->variadic))
    return c.refuse("wrong number of operands");
  if (args.size() == 1)
    return c.result(c.tensor(0));
  return c.result(elementwise(c, args, c.resultType(), [&](Scalar &s, ArrayRef<Value> x) {
    Value y = x[0];
    for (Value next : x.drop_front())
      y = entry->build(s, y, next);
    return y;
  }));
}

static LogicalResult lowerMean(onnx::NodeOp, LoweringContext &c) {
  if (!isFloat(c.element(0)))
    return c.refuse("means of integers");
  SmallVector<Arg> args;
  for (unsigned i = 0; i < c.numInputs(); ++i)
    args.push_back(c.arg(i));
  return c.result(elementwise(c, args, c.resultType(), [](Scalar &s, ArrayRef<Value> x) {
    Value y = x[0];
    for (Value next : x.drop_front())
      y = s.add(y, next);
    return s.mul(y, s.constant(1.0 / static_cast<double>(x.size())));
  }));
}

static LogicalResult lowerPow(onnx::NodeOp, LoweringContext &c) {
  SmallVector<Arg> args{c.arg(0), c.arg(1)};
  bool real = isFloat(c.element(0));
  double exponent =
      isFloat(args[1].element) ? args[1].number : static_cast<double>(args[1].integer);
  bool known = !args[1].tensor;
  // Small whole exponents, and roots, are cheaper and at least as exact.
  if (known && args[0].tensor && (exponent == 2 || exponent == 3 || (real && exponent == 0.5)))
    return c.result(elementwise(c, {args[0]}, c.resultType(), [&](Scalar &s, ArrayRef<Value> x) {
      if (exponent == 0.5)
        return s.sqrt(x[0]);
      Value square = s.mul(x[0], x[0]);
      return exponent == 2 ? square : s.mul(square, x[0]);
    }));
  if (!real)
    return c.refuse("powers of integers");
  return c.result(elementwise(c, args, c.resultType(), [&](Scalar &s, ArrayRef<Value> x) {
    return s.pow(x[0], s.of(args[1].element).cast(x[1], computeType(s.element)));
  }));
}

static LogicalResult lowerMod(onnx::NodeOp, LoweringContext &c) {
  bool fmod = c.getInt("fmod", 0) != 0;
  if (isFloat(c.element(0)))
    return c.refuse("remainders of floating-point numbers");
  return c.result(
      elementwise(c, {c.arg(0), c.arg(1)}, c.resultType(), [&](Scalar &s, ArrayRef<Value> x) {
        if (isUnsigned(s.element))
          return arith::RemUIOp::create(s.b, s.loc, x[0], x[1]).getResult();
        Value rest = arith::RemSIOp::create(s.b, s.loc, x[0], x[1]);
        if (fmod)
          return rest;
        // The sign of the divisor, as in Python.
        Value zero = s.integer(0);
        Value differ = s.compare(Compare::Less, s.bitXor(rest, x[1]), zero);
        Value some = s.compare(Compare::NotEqual, rest, zero);
        return s.select(s.bitAnd(differ, some), s.add(rest, x[1]), rest);
      }));
}

static LogicalResult lowerPRelu(onnx::NodeOp, LoweringContext &c) {
  return c.result(
      elementwise(c, {c.arg(0), c.arg(1)}, c.resultType(), [](Scalar &s, ArrayRef<Value> x) {
        return s.select(s.compare(Compare::Less, x[0], s.constant(0)), s.mul(x[0], x[1]), x[0]);
      }));
}

static LogicalResult lowerWhere(onnx::NodeOp, LoweringContext &c) {
  return c.result(
      elementwise(c, {c.arg(0), c.arg(1), c.arg(2)}, c.resultType(),
                  [](Scalar &s, ArrayRef<Value> x) { return s.select(x[0], x[1], x[2]); }));
}

ArrayRef<Lowering> binaryLowerings() {
  static const std::vector<Lowering> entries = [] {
    std::vector<Lowering> result;
    for (const Binary &binary : kBinaries)
      result.push_back({"", binary.op, lowerBinary});
    result.insert(result.end(), {{"", "Mean", lowerMean},
                                 {"", "Pow", lowerPow},
                                 {"", "Mod", lowerMod},
                                 {"", "PRelu", lowerPRelu},
                                 {"", "Where", lowerWhere}});
    return result;
  }();
  return entries;
}

} // namespace npucc::lowering
