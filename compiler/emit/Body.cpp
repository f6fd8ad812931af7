//===- Body.cpp - Regions to command bodies -----------------------------------===//

#include "compiler/emit/Body.h"

#include "compiler/npu/NpuDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace npucc;

namespace {

class Converter {
public:
  Converter(Block &block, unsigned inputs) : block(block), inputs(inputs) {}
  FailureOr<ConvertedBody> run();

private:
  int16_t push(BodyInst inst) {
    code.push_back(inst);
    return code.size() - 1;
  }
  int16_t emit(BodyOp op, bool isFloat, int16_t a = -1, int16_t b = -1, int16_t c = -1) {
    BodyInst inst;
    inst.op = op;
    inst.isFloat = isFloat;
    inst.a = a;
    inst.b = b;
    inst.c = c;
    return push(inst);
  }
  int16_t constant(double value, bool isFloat) {
    BodyInst inst;
    inst.isFloat = isFloat;
    inst.imm = value;
    return push(inst);
  }
  bool isConstant(int16_t v, double value) const {
    return code[v].op == BodyOp::Constant && code[v].imm == value;
  }
  int16_t value(Value v);
  LogicalResult convert(Operation &op);
  int16_t binary(BodyOp op, bool isFloat, int16_t a, int16_t b);
  bool isRounded(int16_t v) const;
  int16_t integerOf(int16_t v, bool isUnsigned, Type type);
  int16_t scaled(int16_t v, double factor, bool &made);
  int16_t sigmoidOf(int16_t a, int16_t b);
  int16_t store(Value yielded, unsigned output);
  void compact();

  Block &block;
  unsigned inputs;
  llvm::SmallVector<BodyInst, 16> code;
  DenseMap<Value, int16_t> values;
  ConvertedBody result;
};

/// Does every use of `arg` read it as an unsigned number?
bool isUnsignedArg(BlockArgument arg) {
  return llvm::any_of(arg.getUsers(), [](Operation *user) {
    if (isa<arith::ExtUIOp, arith::UIToFPOp, arith::MaxUIOp, arith::MinUIOp>(user))
      return true;
    auto cmp = dyn_cast<arith::CmpIOp>(user);
    return cmp && (cmp.getPredicate() == arith::CmpIPredicate::ult ||
                   cmp.getPredicate() == arith::CmpIPredicate::ugt ||
                   cmp.getPredicate() == arith::CmpIPredicate::ule ||
                   cmp.getPredicate() == arith::CmpIPredicate::uge);
  });
}

int16_t Converter::value(Value v) {
  auto found = values.find(v);
  if (found != values.end())
    return found->second;
  // A constant captured from outside the region.
  Attribute attribute;
  if (matchPattern(v, m_Constant(&attribute))) {
    int16_t id;
    if (auto f = dyn_cast<FloatAttr>(attribute))
      id = constant(f.getValueAsDouble(), true);
    else { // i1 true is 1, as tensors store it
      const APInt &value = cast<IntegerAttr>(attribute).getValue();
      id = constant(value.getBitWidth() == 1 ? double(value.getZExtValue())
                                             : double(value.getSExtValue()),
                    false);
    }
    return values[v] = id;
  }
  return -1;
}

int16_t Converter::binary(BodyOp op, bool isFloat, int16_t a, int16_t b) {
  const BodyInst x = code[a], y = code[b];
  bool bothConstant = x.op == BodyOp::Constant && y.op == BodyOp::Constant;
  if (isFloat && bothConstant) {
    float l = float(x.imm), r = float(y.imm);
    if (op == BodyOp::Add)
      return constant(l + r, true);
    if (op == BodyOp::Sub)
      return constant(l - r, true);
    if (op == BodyOp::Mul)
      return constant(l * r, true);
    if (op == BodyOp::Div)
      return constant(l / r, true);
  }
  if (isFloat && op == BodyOp::Mul) {
    int16_t folded = -1;
    bool made = false;
    if (y.op == BodyOp::Constant)
      folded = scaled(a, y.imm, made);
    else if (x.op == BodyOp::Constant)
      folded = scaled(b, x.imm, made);
    if (folded >= 0)
      return folded;
  }
  // The operand ports subtract a constant from an integer that they widen (zero points).
  if (op == BodyOp::Sub && !isFloat && x.op == BodyOp::Input && y.op == BodyOp::Constant) {
    BodyInst shifted = x;
    shifted.imm += y.imm;
    return push(shifted);
  }
  if (op == BodyOp::Add && isFloat) {
    if (x.op == BodyOp::Mul)
      return emit(BodyOp::Fma, true, x.a, x.b, b);
    if (y.op == BodyOp::Mul)
      return emit(BodyOp::Fma, true, y.a, y.b, a);
  }
  if (op == BodyOp::Add && !isFloat) {
    if (x.op == BodyOp::Mul)
      return emit(BodyOp::Fma, false, x.a, x.b, b);
    if (y.op == BodyOp::Mul)
      return emit(BodyOp::Fma, false, y.a, y.b, a);
  }
  return emit(op, isFloat, a, b);
}

/// Is the float a whole number (rounded, then perhaps shifted and clamped by whole numbers)?
bool Converter::isRounded(int16_t v) const {
  const BodyInst &inst = code[v];
  switch (inst.op) {
  case BodyOp::Round:
  case BodyOp::Floor:
  case BodyOp::Ceil:
    return true;
  case BodyOp::Constant:
    return inst.imm == std::floor(inst.imm);
  case BodyOp::Add:
  case BodyOp::Max:
  case BodyOp::Min:
    return isRounded(inst.a) && isRounded(inst.b);
  default:
    return false;
  }
}

/// An integer of the IR's `type` read with the given sign: where it was cut to that width, it
/// is cut with that sign; a float that clamping holds in range needs no cut at all.
int16_t Converter::integerOf(int16_t v, bool isUnsigned, Type type) {
  if (code[v].op != BodyOp::Wrap)
    return v;
  int16_t inner = code[v].a;
  unsigned width = type.getIntOrFloatBitWidth();
  double low = isUnsigned ? 0 : -std::ldexp(1.0, width - 1);
  double high = std::ldexp(1.0, isUnsigned ? width : width - 1) - 1;
  if (code[inner].op == BodyOp::ToInt) {
    double least = -INFINITY, most = INFINITY;
    for (int16_t x = code[inner].a; code[x].op == BodyOp::Max || code[x].op == BodyOp::Min;) {
      int16_t bound = code[code[x].b].op == BodyOp::Constant ? code[x].b : code[x].a;
      if (code[bound].op != BodyOp::Constant)
        break;
      (code[x].op == BodyOp::Max ? least : most) = code[x].op == BodyOp::Max
                                                       ? std::max(least, code[bound].imm)
                                                       : std::min(most, code[bound].imm);
      x = bound == code[x].b ? code[x].a : code[x].b;
    }
    if (least >= low && most <= high)
      return inner;
  }
  BodyInst wrap = code[v];
  wrap.wrap = storageType(type, isUnsigned);
  return push(wrap);
}

/// `v` times a constant: the factor moves into constants further up, in double, so that factors
/// that cancel (the scales of a Q/DQ pair) cancel exactly. Where a path ends in something else
/// one multiplication is made there; a second one would be a loss: -1.
int16_t Converter::scaled(int16_t v, double factor, bool &made) {
  const BodyInst inst = code[v];
  auto multiply = [&]() -> int16_t {
    if (made || !inst.isFloat)
      return -1;
    made = true;
    return emit(BodyOp::Mul, true, v, constant(factor, true));
  };
  if (!inst.isFloat)
    return -1;
  switch (inst.op) {
  case BodyOp::Constant:
    return constant(inst.imm * factor, true);
  case BodyOp::Mul: {
    int16_t c = code[inst.b].op == BodyOp::Constant ? inst.b : inst.a;
    if (code[c].op != BodyOp::Constant)
      return multiply();
    int16_t x = c == inst.b ? inst.a : inst.b;
    double product = code[c].imm * factor;
    return float(product) == 1 ? x : emit(BodyOp::Mul, true, x, constant(product, true));
  }
  case BodyOp::Fma: {
    int16_t c = code[inst.b].op == BodyOp::Constant ? inst.b : inst.a;
    if (code[c].op != BodyOp::Constant)
      return multiply();
    int16_t rest = scaled(inst.c, factor, made);
    if (rest < 0)
      return -1;
    return emit(BodyOp::Fma, true, c == inst.b ? inst.a : inst.b,
                constant(code[c].imm * factor, true), rest);
  }
  case BodyOp::Add:
  case BodyOp::Sub: {
    int16_t a = scaled(inst.a, factor, made);
    int16_t b = a < 0 ? int16_t(-1) : scaled(inst.b, factor, made);
    return b < 0 ? int16_t(-1) : emit(inst.op, true, a, b);
  }
  case BodyOp::Max:
  case BodyOp::Min: {
    if (factor <= 0)
      return multiply();
    int16_t a = scaled(inst.a, factor, made);
    int16_t b = a < 0 ? int16_t(-1) : scaled(inst.b, factor, made);
    return b < 0 ? int16_t(-1) : emit(inst.op, true, a, b);
  }
  default:
    return multiply();
  }
}

/// a / b where it spells 1 / (1 + exp(-x)); -1 otherwise.
int16_t Converter::sigmoidOf(int16_t a, int16_t b) {
  if (!isConstant(a, 1) || code[b].op != BodyOp::Add)
    return -1;
  int16_t e = isConstant(code[b].a, 1) ? code[b].b : isConstant(code[b].b, 1) ? code[b].a : -1;
  if (e < 0 || code[e].op != BodyOp::Exp || code[code[e].a].op != BodyOp::Neg)
    return -1;
  return emit(BodyOp::Sigmoid, true, code[code[e].a].a);
}

LogicalResult Converter::convert(Operation &op) {
  auto operand = [&](unsigned i) { return value(op.getOperand(i)); };
  if (op.getNumResults() != 1)
    return op.emitError("has no counterpart on the vector unit");
  Value out = op.getResult(0);
  Type type = out.getType();
  bool isFloat = isa<FloatType>(type);
  Attribute attribute;
  if (matchPattern(&op, m_Constant(&attribute))) {
    value(out);
    return success();
  }
  for (Value v : op.getOperands())
    if (value(v) < 0)
      return op.emitError("uses a value from outside the body");
  int16_t id = -1;
  auto two = [&](BodyOp code) { id = binary(code, isFloat, operand(0), operand(1)); };
  auto one = [&](BodyOp code) { id = emit(code, isFloat, operand(0)); };
  auto same = [&] { id = operand(0); };
  TypeSwitch<Operation *>(&op)
      .Case<arith::AddFOp, arith::AddIOp>([&](auto) { two(BodyOp::Add); })
      .Case<arith::SubFOp, arith::SubIOp>([&](auto) { two(BodyOp::Sub); })
      .Case<arith::MulFOp, arith::MulIOp>([&](auto) { two(BodyOp::Mul); })
      .Case<arith::DivFOp>([&](auto) {
        id = sigmoidOf(operand(0), operand(1));
        if (id >= 0)
          return;
        const BodyInst divisor = code[operand(1)];
        if (divisor.op == BodyOp::Constant && divisor.imm != 0) // docs/numerics.md
          id = binary(BodyOp::Mul, true, operand(0), constant(1.0 / float(divisor.imm), true));
        else if (isConstant(operand(0), 1))
          id = emit(BodyOp::Reciprocal, true, operand(1));
        else
          two(BodyOp::Div);
      })
      .Case<arith::DivSIOp, arith::DivUIOp>([&](auto) { two(BodyOp::Div); })
      .Case<arith::RemSIOp, arith::RemUIOp>([&](auto) { two(BodyOp::Mod); })
      .Case<arith::MaximumFOp, arith::MaxNumFOp, arith::MaxSIOp, arith::MaxUIOp>(
          [&](auto) { two(BodyOp::Max); })
      .Case<arith::MinimumFOp, arith::MinNumFOp, arith::MinSIOp, arith::MinUIOp>(
          [&](auto) { two(BodyOp::Min); })
      .Case<arith::AndIOp>([&](auto) { two(BodyOp::And); })
      .Case<arith::OrIOp>([&](auto) { two(BodyOp::Or); })
      .Case<arith::XOrIOp>([&](auto) { two(BodyOp::Xor); })
      .Case<arith::NegFOp>([&](auto) { one(BodyOp::Neg); })
      .Case<math::AbsFOp, math::AbsIOp>([&](auto) { one(BodyOp::Abs); })
      .Case<math::ExpOp>([&](auto) { one(BodyOp::Exp); })
      .Case<math::LogOp>([&](auto) { one(BodyOp::Log); })
      .Case<math::SqrtOp>([&](auto) { one(BodyOp::Sqrt); })
      .Case<math::RsqrtOp>([&](auto) { one(BodyOp::Rsqrt); })
      .Case<math::TanhOp>([&](auto) { one(BodyOp::Tanh); })
      .Case<math::ErfOp>([&](auto) { one(BodyOp::Erf); })
      .Case<math::SinOp>([&](auto) { one(BodyOp::Sin); })
      .Case<math::CosOp>([&](auto) { one(BodyOp::Cos); })
      .Case<math::PowFOp>([&](auto) {
        const BodyInst exponent = code[operand(1)];
        if (exponent.op == BodyOp::Constant && exponent.imm == 2)
          id = emit(BodyOp::Mul, true, operand(0), operand(0));
        else if (exponent.op == BodyOp::Constant && exponent.imm == 0.5)
          id = emit(BodyOp::Sqrt, true, operand(0));
        else
          two(BodyOp::Pow);
      })
      .Case<math::FloorOp>([&](auto) { one(BodyOp::Floor); })
      .Case<math::CeilOp>([&](auto) { one(BodyOp::Ceil); })
      .Case<math::RoundEvenOp>([&](auto) { one(BodyOp::Round); })
      .Case<math::FmaOp>(
          [&](auto) { id = emit(BodyOp::Fma, true, operand(0), operand(1), operand(2)); })
      .Case<arith::SelectOp>(
          [&](auto) { id = emit(BodyOp::Select, isFloat, operand(0), operand(1), operand(2)); })
      .Case<arith::CmpFOp>([&](arith::CmpFOp cmp) {
        using P = arith::CmpFPredicate;
        int16_t a = operand(0), b = operand(1);
        P p = cmp.getPredicate();
        if (p == P::OGT || p == P::UGT || p == P::OGE || p == P::UGE)
          std::swap(a, b);
        if (p == P::OLT || p == P::ULT || p == P::OGT || p == P::UGT)
          id = emit(BodyOp::Less, false, a, b);
        else if (p == P::OLE || p == P::ULE || p == P::OGE || p == P::UGE)
          id = emit(BodyOp::LessEqual, false, a, b);
        else if (p == P::OEQ || p == P::UEQ)
          id = emit(BodyOp::Equal, false, a, b);
        else if (p == P::ONE || p == P::UNE)
          id = emit(BodyOp::Not, false, emit(BodyOp::Equal, false, a, b));
        else if (p == P::UNO) // NaN differs from itself
          id = emit(BodyOp::Not, false,
                    emit(BodyOp::And, false, emit(BodyOp::Equal, false, a, a),
                         emit(BodyOp::Equal, false, b, b)));
      })
      .Case<arith::CmpIOp>([&](arith::CmpIOp cmp) {
        using P = arith::CmpIPredicate;
        int16_t a = operand(0), b = operand(1);
        P p = cmp.getPredicate();
        if (p == P::sgt || p == P::ugt || p == P::sge || p == P::uge)
          std::swap(a, b);
        if (p == P::slt || p == P::ult || p == P::sgt || p == P::ugt)
          id = emit(BodyOp::Less, false, a, b);
        else if (p == P::sle || p == P::ule || p == P::sge || p == P::uge)
          id = emit(BodyOp::LessEqual, false, a, b);
        else if (p == P::eq)
          id = emit(BodyOp::Equal, false, a, b);
        else
          id = emit(BodyOp::Not, false, emit(BodyOp::Equal, false, a, b));
      })
      .Case<arith::ExtSIOp, arith::ExtUIOp>([&](auto) {
        id = integerOf(operand(0), isa<arith::ExtUIOp>(op), op.getOperand(0).getType());
      })
      .Case<arith::ExtFOp, arith::IndexCastOp, arith::IndexCastUIOp>([&](auto) { same(); })
      .Case<arith::TruncFOp>([&](auto) {
        BodyInst inst;
        inst.op = BodyOp::RoundTo;
        inst.a = operand(0);
        inst.wrap = storageType(type);
        id = push(inst);
      })
      .Case<arith::TruncIOp>([&](auto) {
        BodyInst inst;
        inst.op = BodyOp::Wrap;
        inst.isFloat = false;
        inst.a = operand(0);
        inst.wrap = storageType(type);
        id = push(inst);
      })
      .Case<arith::SIToFPOp, arith::UIToFPOp>([&](auto) {
        int16_t integer =
            integerOf(operand(0), isa<arith::UIToFPOp>(op), op.getOperand(0).getType());
        const BodyInst source = code[integer];
        if (source.op == BodyOp::ToInt && isRounded(source.a)) {
          id = source.a;                         // a quantised number is already whole
        } else if (source.op == BodyOp::Input) { // the port converts
          BodyInst inst = source;
          inst.isFloat = true;
          id = push(inst);
        } else {
          id = emit(BodyOp::ToFloat, true, integer);
        }
      })
      .Case<arith::FPToSIOp, arith::FPToUIOp>([&](auto) {
        BodyInst inst;
        inst.op = BodyOp::ToInt;
        inst.isFloat = false;
        inst.a = operand(0);
        inst.wrap = storageType(type, isa<arith::FPToUIOp>(op));
        id = push(inst);
      })
      .Case<linalg::IndexOp>(
          [&](linalg::IndexOp index) { id = emit(BodyOp::Index, false, int16_t(index.getDim())); })
      .Case<npu::IndexOp>(
          [&](npu::IndexOp index) { id = emit(BodyOp::Index, false, int16_t(index.getDim())); })
      .Case<npu::LookupOp>([&](npu::LookupOp lookup) {
        id = emit(BodyOp::Lookup, isFloat, int16_t(lookup.getTable()), operand(0));
      });
  if (id < 0)
    return op.emitError("has no counterpart on the vector unit");
  values[out] = id;
  return success();
}

/// What is stored for a yielded value: stores round half to even and saturate, so that an
/// explicit rounding and clamping to the output's whole range is dropped.
int16_t Converter::store(Value yielded, unsigned output) {
  int16_t v = value(yielded);
  unsigned slot = inputs + output;
  Type type = yielded.getType();
  if (isa<FloatType>(type)) {
    if (code[v].op == BodyOp::RoundTo && code[v].wrap == storageType(type))
      v = code[v].a;
    return v;
  }
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return v;
  int16_t f = v;
  if (code[f].op == BodyOp::Wrap)
    f = code[f].a;
  if (code[f].op != BodyOp::ToInt || !code[code[f].a].isFloat || integer.getWidth() > 16)
    return code[v].op == BodyOp::Wrap && code[v].wrap == storageType(type) ? code[v].a : v;
  f = code[f].a;
  // Strip max/min by constants that cover the whole range, and the rounding below them.
  double low = -INFINITY, high = INFINITY;
  int16_t inner = f;
  while (code[inner].op == BodyOp::Max || code[inner].op == BodyOp::Min) {
    const BodyInst &clamp = code[inner];
    int16_t bound = code[clamp.b].op == BodyOp::Constant ? clamp.b : clamp.a;
    if (code[bound].op != BodyOp::Constant)
      break;
    if (clamp.op == BodyOp::Max)
      low = std::max(low, code[bound].imm);
    else
      high = std::min(high, code[bound].imm);
    inner = bound == clamp.b ? clamp.a : clamp.b;
  }
  unsigned width = integer.getWidth();
  double unsignedMax = std::ldexp(1.0, width) - 1, signedMax = std::ldexp(1.0, width - 1) - 1;
  bool isUnsigned = low >= 0 && high > signedMax;
  double typeLow = isUnsigned ? 0 : -signedMax - 1, typeHigh = isUnsigned ? unsignedMax : signedMax;
  if (!(low >= typeLow && high <= typeHigh))
    return v; // not saturated in the body: keep what it says
  result.operandTypes[slot] = storageType(type, isUnsigned);
  // round(x) + zero point: the port rounds, adds and saturates.
  double zero = 0;
  int16_t rounded = inner;
  if (code[inner].op == BodyOp::Add) {
    int16_t r = code[inner].a, z = code[inner].b;
    if (code[r].op != BodyOp::Round)
      std::swap(r, z);
    if (code[r].op == BodyOp::Round && code[z].op == BodyOp::Constant) {
      rounded = r;
      zero = code[z].imm;
    }
  }
  if (code[rounded].op != BodyOp::Round)
    return v; // truncation, not rounding
  int16_t stored = code[rounded].a;
  // A narrower clamp is monotone, so it may stand before the rounding.
  if (low > typeLow)
    stored = binary(BodyOp::Max, true, stored, constant(low - zero, true));
  if (high < typeHigh)
    stored = binary(BodyOp::Min, true, stored, constant(high - zero, true));
  result.body.zeros[output] = zero;
  // Clamping at the rounded range's end is what saturation does: max(x, 0) before a store whose
  // zero point is the type's lowest number (a ReLU) is free.
  while (code[stored].op == BodyOp::Max || code[stored].op == BodyOp::Min) {
    const BodyInst clamp = code[stored];
    int16_t bound = code[clamp.b].op == BodyOp::Constant ? clamp.b : clamp.a;
    if (code[bound].op != BodyOp::Constant)
      break;
    bool idle = clamp.op == BodyOp::Max ? code[bound].imm + zero <= typeLow
                                        : code[bound].imm + zero >= typeHigh;
    if (!idle)
      break;
    stored = bound == clamp.b ? clamp.a : clamp.b;
  }
  return stored;
}

/// Drops what no yield needs and renumbers.
void Converter::compact() {
  SmallVector<bool> live(code.size(), false);
  auto isIndexOperand = [](BodyOp op) { return op == BodyOp::Input || op == BodyOp::Index; };
  for (int16_t y : result.body.yields)
    live[y] = true;
  for (size_t i = code.size(); i-- > 0;) {
    if (!live[i] || isIndexOperand(code[i].op) || code[i].op == BodyOp::Constant)
      continue;
    if (code[i].a >= 0 && code[i].op != BodyOp::Lookup)
      live[code[i].a] = true;
    if (code[i].b >= 0)
      live[code[i].b] = true;
    if (code[i].c >= 0)
      live[code[i].c] = true;
  }
  SmallVector<int16_t> number(code.size(), -1);
  for (size_t i = 0; i < code.size(); ++i) {
    if (!live[i])
      continue;
    BodyInst inst = code[i];
    if (inst.op != BodyOp::Constant && !isIndexOperand(inst.op)) {
      if (inst.a >= 0 && inst.op != BodyOp::Lookup)
        inst.a = number[inst.a];
      if (inst.b >= 0)
        inst.b = number[inst.b];
      if (inst.c >= 0)
        inst.c = number[inst.c];
    }
    number[i] = result.body.insts.size();
    result.body.insts.push_back(inst);
  }
  for (int16_t &y : result.body.yields)
    y = number[y];
}

FailureOr<ConvertedBody> Converter::run() {
  for (BlockArgument arg : block.getArguments()) {
    result.operandTypes.push_back(storageType(arg.getType(), isUnsignedArg(arg)));
    bool isFloat = isa<FloatType>(arg.getType());
    values[arg] = emit(BodyOp::Input, isFloat, int16_t(arg.getArgNumber()));
  }
  for (Operation &op : block.without_terminator())
    if (failed(convert(op)))
      return failure();
  Operation *terminator = block.getTerminator();
  result.body.zeros.assign(terminator->getNumOperands(), 0);
  for (auto [i, v] : llvm::enumerate(terminator->getOperands())) {
    if (value(v) < 0)
      return terminator->emitError("yields a value from outside the body");
    result.body.yields.push_back(store(v, i));
  }
  if (llvm::all_of(result.body.zeros, [](double z) { return z == 0; }))
    result.body.zeros.clear();
  compact();
  return std::move(result);
}

} // namespace

FailureOr<ConvertedBody> npucc::convertBody(Block &block, unsigned inputs) {
  return Converter(block, inputs).run();
}
