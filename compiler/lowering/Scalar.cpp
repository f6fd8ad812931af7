//===- Scalar.cpp - Scalar arithmetic in bodies of linalg ops -----------------===//

#include "compiler/lowering/Scalar.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/APFloat.h"

using namespace mlir;

namespace npucc::lowering {

Type signless(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type); integer && !integer.isSignless())
    return IntegerType::get(type.getContext(), integer.getWidth());
  return type;
}

Type computeType(Type onnxElement) {
  if (auto real = dyn_cast<FloatType>(onnxElement))
    return real.getWidth() < 32 ? Float32Type::get(onnxElement.getContext()) : onnxElement;
  return signless(onnxElement);
}

Value Scalar::constant(double value) {
  Type type = computeType(element);
  if (isa<FloatType>(type))
    return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
  return integer(static_cast<int64_t>(value));
}

Value Scalar::integer(int64_t value) {
  Type type = computeType(element);
  if (isa<FloatType>(type))
    return constant(static_cast<double>(value));
  unsigned width = type.getIntOrFloatBitWidth();
  APInt bits = APInt(64, static_cast<uint64_t>(value)).zextOrTrunc(width);
  return arith::ConstantOp::create(b, loc, type, b.getIntegerAttr(type, bits));
}

static APInt extreme(Type element, bool high) {
  unsigned width = element.getIntOrFloatBitWidth();
  if (isUnsigned(element))
    return high ? APInt::getMaxValue(width) : APInt::getMinValue(width);
  return high ? APInt::getSignedMaxValue(width) : APInt::getSignedMinValue(width);
}

static Value extremeValue(Scalar &s, bool high) {
  Type type = computeType(s.element);
  if (auto real = dyn_cast<FloatType>(type)) {
    APFloat inf = APFloat::getInf(real.getFloatSemantics(), /*Negative=*/!high);
    return arith::ConstantOp::create(s.b, s.loc, s.b.getFloatAttr(type, inf));
  }
  return arith::ConstantOp::create(s.b, s.loc, type,
                                   s.b.getIntegerAttr(type, extreme(s.element, high)));
}
Value Scalar::lowest() { return extremeValue(*this, false); }
Value Scalar::highest() { return extremeValue(*this, true); }

Value Scalar::add(Value x, Value y) {
  if (real())
    return arith::AddFOp::create(b, loc, x, y);
  return arith::AddIOp::create(b, loc, x, y);
}
Value Scalar::sub(Value x, Value y) {
  if (real())
    return arith::SubFOp::create(b, loc, x, y);
  return arith::SubIOp::create(b, loc, x, y);
}
Value Scalar::mul(Value x, Value y) {
  if (real())
    return arith::MulFOp::create(b, loc, x, y);
  return arith::MulIOp::create(b, loc, x, y);
}
Value Scalar::div(Value x, Value y) {
  if (real())
    return arith::DivFOp::create(b, loc, x, y);
  if (isUnsigned(element))
    return arith::DivUIOp::create(b, loc, x, y);
  return arith::DivSIOp::create(b, loc, x, y);
}
Value Scalar::max(Value x, Value y) {
  if (real())
    return arith::MaximumFOp::create(b, loc, x, y);
  if (isUnsigned(element))
    return arith::MaxUIOp::create(b, loc, x, y);
  return arith::MaxSIOp::create(b, loc, x, y);
}
Value Scalar::min(Value x, Value y) {
  if (real())
    return arith::MinimumFOp::create(b, loc, x, y);
  if (isUnsigned(element))
    return arith::MinUIOp::create(b, loc, x, y);
  return arith::MinSIOp::create(b, loc, x, y);
}
Value Scalar::neg(Value x) {
  if (real())
    return arith::NegFOp::create(b, loc, x);
  return sub(integer(0), x);
}
Value Scalar::abs(Value x) {
  if (real())
    return math::AbsFOp::create(b, loc, x);
  if (isUnsigned(element))
    return x;
  return max(x, neg(x));
}

Value Scalar::compare(Compare kind, Value x, Value y) {
  if (real()) {
    static constexpr arith::CmpFPredicate kinds[] = {
        arith::CmpFPredicate::OEQ, arith::CmpFPredicate::UNE, arith::CmpFPredicate::OLT,
        arith::CmpFPredicate::OLE, arith::CmpFPredicate::OGT, arith::CmpFPredicate::OGE};
    return arith::CmpFOp::create(b, loc, kinds[static_cast<int>(kind)], x, y);
  }
  static constexpr arith::CmpIPredicate signedKinds[] = {
      arith::CmpIPredicate::eq,  arith::CmpIPredicate::ne,  arith::CmpIPredicate::slt,
      arith::CmpIPredicate::sle, arith::CmpIPredicate::sgt, arith::CmpIPredicate::sge};
  static constexpr arith::CmpIPredicate unsignedKinds[] = {
      arith::CmpIPredicate::eq,  arith::CmpIPredicate::ne,  arith::CmpIPredicate::ult,
      arith::CmpIPredicate::ule, arith::CmpIPredicate::ugt, arith::CmpIPredicate::uge};
  const auto *kinds = isUnsigned(element) ? unsignedKinds : signedKinds;
  return arith::CmpIOp::create(b, loc, kinds[static_cast<int>(kind)], x, y);
}
Value Scalar::select(Value condition, Value x, Value y) {
  return arith::SelectOp::create(b, loc, condition, x, y);
}
Value Scalar::bitAnd(Value x, Value y) { return arith::AndIOp::create(b, loc, x, y); }
Value Scalar::bitOr(Value x, Value y) { return arith::OrIOp::create(b, loc, x, y); }
Value Scalar::bitXor(Value x, Value y) { return arith::XOrIOp::create(b, loc, x, y); }

Value Scalar::exp(Value x) { return math::ExpOp::create(b, loc, x); }
Value Scalar::log(Value x) { return math::LogOp::create(b, loc, x); }
Value Scalar::sqrt(Value x) { return math::SqrtOp::create(b, loc, x); }
Value Scalar::tanh(Value x) { return math::TanhOp::create(b, loc, x); }
Value Scalar::erf(Value x) { return math::ErfOp::create(b, loc, x); }
Value Scalar::roundEven(Value x) { return math::RoundEvenOp::create(b, loc, x); }
Value Scalar::pow(Value x, Value y) { return math::PowFOp::create(b, loc, x, y); }

Value Scalar::sigmoid(Value x) {
  Value one = constant(1);
  return div(one, add(one, exp(neg(x))));
}

Value Scalar::softplus(Value x) {
  // max(x, 0) + log(1 + exp(-|x|)): exp never overflows.
  return add(max(x, constant(0)), log(add(constant(1), exp(neg(abs(x))))));
}

Value Scalar::load(Value stored) {
  Type type = computeType(element);
  if (stored.getType() == type)
    return stored;
  if (isa<FloatType>(type)) {
    // Where storage is narrower than the ONNX type, rounding is not part of the model:
    // `contract` lets two fused bodies drop it.
    auto op = arith::ExtFOp::create(b, loc, type, stored);
    if (element != stored.getType())
      op.setFastmathAttr(
          arith::FastMathFlagsAttr::get(b.getContext(), arith::FastMathFlags::contract));
    return op;
  }
  return stored;
}

Value Scalar::store(Value computed, Type storage) {
  if (computed.getType() == storage)
    return computed;
  if (isa<FloatType>(storage)) {
    auto op = arith::TruncFOp::create(b, loc, storage, computed);
    if (element != storage)
      op.setFastmathAttr(
          arith::FastMathFlagsAttr::get(b.getContext(), arith::FastMathFlags::contract));
    return op;
  }
  return computed;
}

Value Scalar::cast(Value x, Type to) {
  Type from = x.getType(), target = computeType(to);
  if (to.isInteger(1)) {
    if (from.isInteger(1))
      return x;
    return compare(Compare::NotEqual, x, constant(0));
  }
  if (isa<FloatType>(from)) {
    if (isa<FloatType>(target)) {
      Value wide = x;
      if (from.getIntOrFloatBitWidth() < target.getIntOrFloatBitWidth())
        wide = arith::ExtFOp::create(b, loc, target, x);
      else if (from.getIntOrFloatBitWidth() > target.getIntOrFloatBitWidth())
        wide = arith::TruncFOp::create(b, loc, target, x);
      return wide;
    }
    // By way of 64 bits, so that a negative number wraps in an unsigned type as Cast does.
    Type i64 = b.getI64Type();
    if (target == i64 && !isUnsigned(to))
      return arith::FPToSIOp::create(b, loc, target, x);
    if (target.getIntOrFloatBitWidth() < 32 || isUnsigned(to)) {
      Type wide = target.getIntOrFloatBitWidth() < 32 ? Type(b.getI32Type()) : i64;
      if (target == i64)
        return arith::FPToUIOp::create(b, loc, target, x);
      return arith::TruncIOp::create(b, loc, target,
                                     arith::FPToSIOp::create(b, loc, wide, x).getResult());
    }
    return arith::FPToSIOp::create(b, loc, target, x);
  }
  bool unsignedSource = isUnsigned(element);
  if (isa<FloatType>(target)) {
    if (unsignedSource)
      return arith::UIToFPOp::create(b, loc, target, x);
    return arith::SIToFPOp::create(b, loc, target, x);
  }
  unsigned fromWidth = from.getIntOrFloatBitWidth(), toWidth = target.getIntOrFloatBitWidth();
  if (fromWidth > toWidth)
    return arith::TruncIOp::create(b, loc, target, x);
  if (fromWidth == toWidth)
    return x;
  if (unsignedSource)
    return arith::ExtUIOp::create(b, loc, target, x);
  return arith::ExtSIOp::create(b, loc, target, x);
}

Value Scalar::saturate(Value x, Type to) {
  APInt low = extreme(to, false), high = extreme(to, true);
  auto number = [&](const APInt &v) { return v.roundToDouble(!isUnsigned(to)); };
  x = arith::MaximumFOp::create(b, loc, x, constant(number(low)));
  x = arith::MinimumFOp::create(b, loc, x, constant(number(high)));
  return cast(x, to);
}

} // namespace npucc::lowering
