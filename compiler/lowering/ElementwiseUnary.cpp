//===- ElementwiseUnary.cpp - Activations and other functions of one tensor ---===//

#include "compiler/lowering/Build.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;

namespace npucc::lowering {

namespace {
using Function = Value (*)(Scalar &, Value, LoweringContext &);
struct Unary {
  const char *op;
  Function build;
  bool floatOnly = true;
};
} // namespace

template <typename Op> static Value make(Scalar &s, Value x, LoweringContext &) {
  return Op::create(s.b, s.loc, x);
}

static Value geluErf(Scalar &s, Value x) {
  Value half = s.mul(x, s.constant(0.5));
  return s.mul(half, s.add(s.constant(1), s.erf(s.mul(x, s.constant(std::sqrt(0.5))))));
}
static Value geluTanh(Scalar &s, Value x) {
  Value cube = s.mul(s.mul(x, x), x);
  Value inner = s.add(x, s.mul(s.constant(0.044715), cube));
  Value t = s.tanh(s.mul(s.constant(std::sqrt(2 / M_PI)), inner));
  return s.mul(s.mul(x, s.constant(0.5)), s.add(s.constant(1), t));
}
static Value clamp(Scalar &s, Value x, double low, double high) {
  return s.min(s.max(x, s.constant(low)), s.constant(high));
}
/// x where x > 0, else `negative`.
static Value positiveOr(Scalar &s, Value x, Value negative) {
  return s.select(s.compare(Compare::Greater, x, s.constant(0)), x, negative);
}
static Value expm1(Scalar &s, Value x) { return s.sub(s.exp(x), s.constant(1)); }

// Functions that the vector unit has no instruction for, from those that it has.
static Value tan(Scalar &s, Value x, LoweringContext &) {
  Value sine = math::SinOp::create(s.b, s.loc, x);
  return s.div(sine, math::CosOp::create(s.b, s.loc, x));
}
static Value hyperbolic(Scalar &s, Value x, bool sine) {
  Value up = s.exp(x), down = s.exp(s.neg(x));
  return s.mul(s.constant(0.5), sine ? s.sub(up, down) : s.add(up, down));
}
static Value acosh(Scalar &s, Value x, LoweringContext &) {
  return s.log(s.add(x, s.sqrt(s.sub(s.mul(x, x), s.constant(1)))));
}
static Value asinh(Scalar &s, Value x, LoweringContext &) {
  // Of |x|, since the sum cancels for negative x.
  Value a = s.abs(x);
  Value y = s.log(s.add(a, s.sqrt(s.add(s.mul(a, a), s.constant(1)))));
  return s.select(s.compare(Compare::Less, x, s.constant(0)), s.neg(y), y);
}
static Value atanh(Scalar &s, Value x, LoweringContext &) {
  Value one = s.constant(1);
  return s.mul(s.constant(0.5), s.log(s.div(s.add(one, x), s.sub(one, x))));
}

static Value elu(Scalar &s, Value x, LoweringContext &c) {
  return positiveOr(s, x, s.mul(s.constant(c.getFloat("alpha", 1)), expm1(s, x)));
}
static Value selu(Scalar &s, Value x, LoweringContext &c) {
  double alpha = c.getFloat("alpha", 1.67326319217681884765625);
  double gamma = c.getFloat("gamma", 1.05070102214813232421875);
  Value y = positiveOr(s, x, s.mul(s.constant(alpha), expm1(s, x)));
  return s.mul(s.constant(gamma), y);
}
static Value celu(Scalar &s, Value x, LoweringContext &c) {
  double alpha = c.getFloat("alpha", 1);
  Value low = s.mul(s.constant(alpha), expm1(s, s.div(x, s.constant(alpha))));
  return s.add(s.max(x, s.constant(0)), s.min(low, s.constant(0)));
}
static Value leakyRelu(Scalar &s, Value x, LoweringContext &c) {
  Value low = s.mul(x, s.constant(c.getFloat("alpha", 0.01f)));
  return s.select(s.compare(Compare::Less, x, s.constant(0)), low, x);
}
static Value thresholdedRelu(Scalar &s, Value x, LoweringContext &c) {
  Value above = s.compare(Compare::Greater, x, s.constant(c.getFloat("alpha", 1)));
  return s.select(above, x, s.constant(0));
}
static Value hardSigmoid(Scalar &s, Value x, LoweringContext &c) {
  Value y = s.mul(x, s.constant(c.getFloat("alpha", 0.2f)));
  return clamp(s, s.add(y, s.constant(c.getFloat("beta", 0.5))), 0, 1);
}
static Value hardSwish(Scalar &s, Value x, LoweringContext &) {
  Value gate = s.add(s.mul(x, s.constant(1.0f / 6)), s.constant(0.5));
  return s.mul(x, clamp(s, gate, 0, 1));
}
static Value shrink(Scalar &s, Value x, LoweringContext &c) {
  double lambda = c.getFloat("lambd", 0.5), bias = c.getFloat("bias", 0);
  Value high = s.select(s.compare(Compare::Greater, x, s.constant(lambda)),
                        s.sub(x, s.constant(bias)), s.constant(0));
  return s.select(s.compare(Compare::Less, x, s.constant(-lambda)), s.add(x, s.constant(bias)),
                  high);
}
static Value sign(Scalar &s, Value x, LoweringContext &) {
  Value zero = s.constant(0), one = s.constant(1);
  Value y = s.select(s.compare(Compare::Greater, x, zero), one, zero);
  if (isUnsigned(s.element))
    return y;
  return s.select(s.compare(Compare::Less, x, zero), s.constant(-1), y);
}
static Value scaledSigmoid(Scalar &s, Value x, double alpha) {
  return s.mul(x, s.sigmoid(alpha == 1 ? x : s.mul(x, s.constant(alpha))));
}

static const Unary kUnaries[] = {
    {"Abs", [](Scalar &s, Value x, LoweringContext &) { return s.abs(x); }, false},
    {"Neg", [](Scalar &s, Value x, LoweringContext &) { return s.neg(x); }, false},
    {"Sign", sign, false},
    {"Relu", [](Scalar &s, Value x, LoweringContext &) { return s.max(x, s.constant(0)); }, false},
    {"Floor", make<math::FloorOp>},
    {"Ceil", make<math::CeilOp>},
    {"Round", make<math::RoundEvenOp>},
    {"Sqrt", make<math::SqrtOp>},
    {"Reciprocal", [](Scalar &s, Value x, LoweringContext &) { return s.div(s.constant(1), x); }},
    {"Exp", make<math::ExpOp>},
    {"Log", make<math::LogOp>},
    {"Sin", make<math::SinOp>},
    {"Cos", make<math::CosOp>},
    {"Tan", tan},
    {"Sinh", [](Scalar &s, Value x, LoweringContext &) { return hyperbolic(s, x, true); }},
    {"Cosh", [](Scalar &s, Value x, LoweringContext &) { return hyperbolic(s, x, false); }},
    {"Asinh", asinh},
    {"Acosh", acosh},
    {"Atanh", atanh},
    {"Tanh", make<math::TanhOp>},
    {"Erf", make<math::ErfOp>},
    {"Sigmoid", [](Scalar &s, Value x, LoweringContext &) { return s.sigmoid(x); }},
    {"Softplus", [](Scalar &s, Value x, LoweringContext &) { return s.softplus(x); }},
    {"Softsign", [](Scalar &s, Value x,
                    LoweringContext &) { return s.div(x, s.add(s.constant(1), s.abs(x))); }},
    {"HardSwish", hardSwish},
    {"Mish", [](Scalar &s, Value x, LoweringContext &) { return s.mul(x, s.tanh(s.softplus(x))); }},
    {"Gelu",
     [](Scalar &s, Value x, LoweringContext &c) {
       return c.getString("approximate", "none") == "tanh" ? geluTanh(s, x) : geluErf(s, x);
     }},
    {"LeakyRelu", leakyRelu},
    {"Elu", elu},
    {"Selu", selu},
    {"Celu", celu},
    {"ThresholdedRelu", thresholdedRelu},
    {"HardSigmoid", hardSigmoid},
    {"Swish", [](Scalar &s, Value x,
                 LoweringContext &c) { return scaledSigmoid(s, x, c.getFloat("alpha", 1)); }},
    {"QuickGelu",
     [](Scalar &s, Value x, LoweringContext &c) {
       return scaledSigmoid(s, x, c.getFloat("alpha", 1.702f));
     }},
    {"Shrink", shrink, false},
    {"Not", [](Scalar &s, Value x, LoweringContext &) { return s.bitXor(x, s.integer(1)); }, false},
    {"BitwiseNot", [](Scalar &s, Value x, LoweringContext &) { return s.bitXor(x, s.integer(-1)); },
     false},
};

static LogicalResult lowerUnary(onnx::NodeOp node, LoweringContext &c) {
  const auto *entry =
      llvm::find_if(kUnaries, [&](const Unary &u) { return node.getOpType() == u.op; });
  if (entry == std::end(kUnaries))
    return failure();
  if (entry->floatOnly && !isFloat(c.element(0)))
    return c.refuse("operand is not of a floating-point type");
  return c.result(elementwise(c, {c.arg(0)}, c.resultType(), [&](Scalar &s, ArrayRef<Value> x) {
    return entry->build(s, x[0], c);
  }));
}

static LogicalResult lowerIsNaN(onnx::NodeOp, LoweringContext &c) {
  if (!isFloat(c.element(0)))
    return c.refuse("operand is not of a floating-point type");
  return c.result(elementwise(c, {c.arg(0)}, c.resultType(), [](Scalar &s, ArrayRef<Value> x) {
    return arith::CmpFOp::create(s.b, s.loc, arith::CmpFPredicate::UNO, x[0], x[0]);
  }));
}

static LogicalResult lowerIsInf(onnx::NodeOp, LoweringContext &c) {
  bool positive = c.getInt("detect_positive", 1), negative = c.getInt("detect_negative", 1);
  if (!isFloat(c.element(0)) || !(positive || negative))
    return c.refuse("detects nothing");
  return c.result(elementwise(c, {c.arg(0)}, c.resultType(), [&](Scalar &s, ArrayRef<Value> x) {
    if (positive && negative)
      return s.compare(Compare::Equal, s.abs(x[0]), s.highest());
    return s.compare(Compare::Equal, x[0], positive ? s.highest() : s.lowest());
  }));
}

static LogicalResult lowerClip(onnx::NodeOp, LoweringContext &c) {
  SmallVector<Arg> args{c.arg(0)};
  for (unsigned i : {1u, 2u})
    if (c.has(i))
      args.push_back(c.arg(i));
  bool low = c.has(1), high = c.has(2);
  if (!low && !high)
    return c.result(c.tensor(0));
  return c.result(elementwise(c, args, c.resultType(), [&](Scalar &s, ArrayRef<Value> x) {
    Value y = low ? s.max(x[0], x[1]) : x[0];
    return high ? s.min(y, x.back()) : y;
  }));
}

static LogicalResult lowerCast(onnx::NodeOp, LoweringContext &c) {
  RankedTensorType type = c.resultType();
  Type from = c.element(0), to = type.getElementType();
  if (from == to)
    return c.result(c.tensor(0));
  if (isFloat(to) && to.getIntOrFloatBitWidth() <= 8)
    return c.refuse("casts to 8-bit floats saturate");
  return c.result(elementwise(c, {c.arg(0)}, type,
                              [&](Scalar &s, ArrayRef<Value> x) { return s.cast(x[0], to); }));
}

/// com.microsoft BiasGelu and FastGelu: gelu(x + bias).
static LogicalResult lowerBiasGelu(onnx::NodeOp node, LoweringContext &c) {
  bool fast = node.getOpType() == "FastGelu";
  SmallVector<Arg> args{c.arg(0)};
  if (c.has(1))
    args.push_back(c.arg(1));
  return c.result(elementwise(c, args, c.resultType(), [&](Scalar &s, ArrayRef<Value> x) {
    Value y = x.size() > 1 ? s.add(x[0], x[1]) : x[0];
    return fast ? geluTanh(s, y) : geluErf(s, y);
  }));
}

static LogicalResult lowerIdentity(onnx::NodeOp, LoweringContext &c) {
  if (c.wants(1))
    return c.refuse("the mask is asked for");
  return c.result(c.tensor(0));
}

static LogicalResult lowerDropout(onnx::NodeOp node, LoweringContext &c) {
  if (c.has(2)) {
    auto training = c.ints(2);
    if (!training || training->size() != 1 || training->front() != 0)
      return c.refuse("training_mode is not known to be false");
  }
  return lowerIdentity(node, c);
}

ArrayRef<Lowering> unaryLowerings() {
  static const std::vector<Lowering> entries = [] {
    std::vector<Lowering> result;
    for (const Unary &unary : kUnaries)
      result.push_back(
          {StringRef(unary.op) == "QuickGelu" ? "com.microsoft" : "", unary.op, lowerUnary});
    result.insert(result.end(), {{"com.microsoft", "Gelu", lowerUnary},
                                 {"com.microsoft", "BiasGelu", lowerBiasGelu},
                                 {"com.microsoft", "FastGelu", lowerBiasGelu},
                                 {"", "IsNaN", lowerIsNaN},
                                 {"", "IsInf", lowerIsInf},
                                 {"", "Clip", lowerClip},
                                 {"", "Cast", lowerCast},
                                 {"", "CastLike", lowerCast},
                                 {"", "Identity", lowerIdentity},
                                 {"", "Dropout", lowerDropout}});
    return result;
  }();
  return entries;
}

} // namespace npucc::lowering
