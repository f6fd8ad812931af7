//===- BodyRunner.cpp - Interprets command bodies, a block at a time ------===//

#include "simulator/functional/BodyRunner.h"

#include "simulator/functional/Elements.h"
#include "simulator/functional/Functional.h"

#include <cmath>
#include <cstring>

using namespace npucc;

BodyRunner::BodyRunner(const Body &body) {
  std::vector<int> stepOf; // by instruction
  for (const BodyInst &inst : body.insts) {
    BodyStep step{inst.op, inst.isFloat, inst.isFloat, inst.wrap, -1, -1, -1, inst.imm};
    auto kindOf = [&](int16_t i) { return steps[stepOf[i]].isFloat; };
    switch (inst.op) {
    case BodyOp::Constant:
      break;
    case BodyOp::Input:
    case BodyOp::Index:
      step.a = inst.a;
      break;
    case BodyOp::Lookup:
      step.a = inst.a;
      step.b = asKind(stepOf[inst.b], false);
      break;
    case BodyOp::ToFloat:
    case BodyOp::ToInt:
      step.isFloat = inst.op == BodyOp::ToFloat;
      step.floatArguments = kindOf(inst.a);
      step.a = stepOf[inst.a];
      break;
    case BodyOp::Wrap:
      step.isFloat = step.floatArguments = false;
      step.a = asKind(stepOf[inst.a], false);
      break;
    case BodyOp::Equal:
    case BodyOp::Less:
    case BodyOp::LessEqual:
      step.floatArguments = kindOf(inst.a) || kindOf(inst.b);
      step.a = asKind(stepOf[inst.a], step.floatArguments);
      step.b = asKind(stepOf[inst.b], step.floatArguments);
      break;
    case BodyOp::Select: {
      step.a = stepOf[inst.a];
      // A float condition selects by "not zero", which truncation would spoil.
      if (kindOf(inst.a)) {
        BodyStep isZero{BodyOp::Not, false, true, ElementType::Undefined, step.a};
        BodyStep notZero{BodyOp::Not, false, false, ElementType::Undefined, add(isZero)};
        step.a = add(notZero);
      }
      step.b = asKind(stepOf[inst.b], inst.isFloat);
      step.c = asKind(stepOf[inst.c], inst.isFloat);
      break;
    }
    case BodyOp::Not:
      step.floatArguments = kindOf(inst.a);
      step.a = stepOf[inst.a];
      break;
    default:
      step.a = asKind(stepOf[inst.a], inst.isFloat);
      if (inst.b >= 0)
        step.b = asKind(stepOf[inst.b], inst.isFloat);
      if (inst.c >= 0)
        step.c = asKind(stepOf[inst.c], inst.isFloat);
      // Transcendental functions exist in f32 only: an i64 result is converted after.
      if (!inst.isFloat && inst.op >= BodyOp::Floor && inst.op <= BodyOp::Sigmoid) {
        step.a = asKind(stepOf[inst.a], true);
        if (inst.b >= 0)
          step.b = asKind(stepOf[inst.b], true);
        step.isFloat = step.floatArguments = true;
        step.wrap = ElementType::Undefined;
        BodyStep convert{BodyOp::ToInt, false, true, inst.wrap, add(step)};
        stepOf.push_back(add(convert));
        continue;
      }
    }
    stepOf.push_back(add(step));
  }
  for (size_t i = 0; i < body.yields.size(); ++i) {
    int result = stepOf[body.yields[i]];
    double zero = i < body.zeros.size() ? body.zeros[i] : 0;
    if (zero != 0 && steps[result].isFloat) {
      int rounded = add({BodyOp::Round, true, true, ElementType::Undefined, result});
      int constant = add({BodyOp::Constant, true, true, ElementType::Undefined, -1, -1, -1, zero});
      result = add({BodyOp::Add, true, true, ElementType::Undefined, rounded, constant});
    }
    results.push_back(result);
  }
  registers = std::make_unique<Register[]>(steps.size());
  for (size_t s = 0; s < steps.size(); ++s) {
    if (steps[s].op != BodyOp::Constant)
      continue;
    for (int64_t i = 0; i < kBlock; ++i) {
      if (steps[s].isFloat)
        registers[s].f[i] = static_cast<float>(steps[s].imm);
      else
        registers[s].i[i] = static_cast<int64_t>(steps[s].imm);
    }
  }
}

int BodyRunner::add(const BodyStep &step) {
  steps.push_back(step);
  return static_cast<int>(steps.size()) - 1;
}

int BodyRunner::asKind(int step, bool isFloat) {
  if (steps[step].isFloat == isFloat)
    return step;
  return add(
      {isFloat ? BodyOp::ToFloat : BodyOp::ToInt, isFloat, !isFloat, ElementType::Undefined, step});
}

bool BodyRunner::reads(size_t operand) const {
  for (const BodyStep &step : steps)
    if ((step.op == BodyOp::Input || step.op == BodyOp::Lookup) &&
        step.a == static_cast<int>(operand))
      return true;
  return false;
}

bool BodyRunner::usesIndex(size_t dim) const {
  for (const BodyStep &step : steps)
    if (step.op == BodyOp::Index && step.a == static_cast<int>(dim))
      return true;
  return false;
}

void BodyRunner::run(int64_t count, Fetch fetch) {
  for (size_t s = 0; s < steps.size(); ++s) {
    const BodyStep &step = steps[s];
    switch (step.op) {
    case BodyOp::Constant:
      continue;
    case BodyOp::Input:
    case BodyOp::Index:
    case BodyOp::Lookup:
      fetch(step, step.op == BodyOp::Lookup ? registers[step.b].i : nullptr, &registers[s]);
      if (step.op == BodyOp::Input && step.imm != 0) { // the port subtracts a zero point
        if (step.isFloat)
          for (int64_t i = 0; i < count; ++i)
            registers[s].f[i] -= static_cast<float>(step.imm);
        else
          for (int64_t i = 0; i < count; ++i)
            registers[s].i[i] -= static_cast<int64_t>(step.imm);
      }
      break;
    default:
      if (step.isFloat)
        floatStep(step, count, registers[s].f);
      else
        intStep(step, count, registers[s].i);
    }
    if (step.wrap == ElementType::Undefined || step.op == BodyOp::ToInt)
      continue;
    if (!step.isFloat)
      wrapTo(step.wrap, count, registers[s].i);
    else if (isFloat(step.wrap))
      roundTo(step.wrap, count, registers[s].f, registers[s].f);
  }
}

namespace {

int64_t wrapAdd(int64_t a, int64_t b) { return static_cast<int64_t>(uint64_t(a) + uint64_t(b)); }
int64_t wrapSub(int64_t a, int64_t b) { return static_cast<int64_t>(uint64_t(a) - uint64_t(b)); }
int64_t wrapMul(int64_t a, int64_t b) { return static_cast<int64_t>(uint64_t(a) * uint64_t(b)); }

} // namespace

void BodyRunner::floatStep(const BodyStep &step, int64_t n, float *to) {
  const float *a = step.a >= 0 ? registers[step.a].f : nullptr;
  const float *b = step.b >= 0 ? registers[step.b].f : nullptr;
  const float *c = step.c >= 0 ? registers[step.c].f : nullptr;
  const int64_t *ia = step.a >= 0 ? registers[step.a].i : nullptr;
  const int64_t *ib = step.b >= 0 ? registers[step.b].i : nullptr;
  auto each = [&](auto f) {
    for (int64_t i = 0; i < n; ++i)
      to[i] = f(i);
  };
  switch (step.op) {
  case BodyOp::Add:
    return each([=](int64_t i) { return a[i] + b[i]; });
  case BodyOp::Sub:
    return each([=](int64_t i) { return a[i] - b[i]; });
  case BodyOp::Mul:
    return each([=](int64_t i) { return a[i] * b[i]; });
  case BodyOp::Div:
    return each([=](int64_t i) { return a[i] / b[i]; });
  case BodyOp::Mod:
    return each([=](int64_t i) { return std::fmod(a[i], b[i]); });
  case BodyOp::Max: // NaN in either argument stays
    return each([=](int64_t i) { return a[i] > b[i] || a[i] != a[i] ? a[i] : b[i]; });
  case BodyOp::Min:
    return each([=](int64_t i) { return a[i] < b[i] || a[i] != a[i] ? a[i] : b[i]; });
  case BodyOp::Neg:
    return each([=](int64_t i) { return -a[i]; });
  case BodyOp::Abs:
    return each([=](int64_t i) { return std::fabs(a[i]); });
  case BodyOp::Fma:
    return each([=](int64_t i) { return std::fma(a[i], b[i], c[i]); });
  case BodyOp::Equal:
    if (!step.floatArguments)
      return each([=](int64_t i) { return float(ia[i] == ib[i]); });
    return each([=](int64_t i) { return float(a[i] == b[i]); });
  case BodyOp::Less:
    if (!step.floatArguments)
      return each([=](int64_t i) { return float(ia[i] < ib[i]); });
    return each([=](int64_t i) { return float(a[i] < b[i]); });
  case BodyOp::LessEqual:
    if (!step.floatArguments)
      return each([=](int64_t i) { return float(ia[i] <= ib[i]); });
    return each([=](int64_t i) { return float(a[i] <= b[i]); });
  case BodyOp::And:
    return each([=](int64_t i) { return float(a[i] != 0 && b[i] != 0); });
  case BodyOp::Or:
    return each([=](int64_t i) { return float(a[i] != 0 || b[i] != 0); });
  case BodyOp::Xor:
    return each([=](int64_t i) { return float((a[i] != 0) != (b[i] != 0)); });
  case BodyOp::Not:
    if (!step.floatArguments)
      return each([=](int64_t i) { return float(ia[i] == 0); });
    return each([=](int64_t i) { return float(a[i] == 0); });
  case BodyOp::Select:
    return each([=](int64_t i) { return ia[i] ? b[i] : c[i]; });
  case BodyOp::Floor:
    return each([=](int64_t i) { return std::floor(a[i]); });
  case BodyOp::Ceil:
    return each([=](int64_t i) { return std::ceil(a[i]); });
  case BodyOp::Round:
    return each([=](int64_t i) { return __builtin_rintf(a[i]); });
  case BodyOp::Exp:
    return each([=](int64_t i) { return std::exp(a[i]); });
  case BodyOp::Log:
    return each([=](int64_t i) { return std::log(a[i]); });
  case BodyOp::Sqrt:
    return each([=](int64_t i) { return std::sqrt(a[i]); });
  case BodyOp::Rsqrt:
    return each([=](int64_t i) { return 1.0f / std::sqrt(a[i]); });
  case BodyOp::Reciprocal:
    return each([=](int64_t i) { return 1.0f / a[i]; });
  case BodyOp::Tanh:
    return each([=](int64_t i) { return std::tanh(a[i]); });
  case BodyOp::Erf:
    return each([=](int64_t i) { return std::erf(a[i]); });
  case BodyOp::Sin:
    return each([=](int64_t i) { return std::sin(a[i]); });
  case BodyOp::Cos:
    return each([=](int64_t i) { return std::cos(a[i]); });
  case BodyOp::Pow:
    return each([=](int64_t i) { return std::pow(a[i], b[i]); });
  case BodyOp::Sigmoid:
    return each([=](int64_t i) { return 1.0f / (1.0f + std::exp(-a[i])); });
  case BodyOp::ToFloat:
    if (!step.floatArguments)
      return each([=](int64_t i) { return static_cast<float>(ia[i]); });
    [[fallthrough]];
  default: // RoundTo: `wrap` does the rest
    return each([=](int64_t i) { return a[i]; });
  }
}

void BodyRunner::intStep(const BodyStep &step, int64_t n, int64_t *to) {
  const int64_t *a = step.a >= 0 ? registers[step.a].i : nullptr;
  const int64_t *b = step.b >= 0 ? registers[step.b].i : nullptr;
  const int64_t *c = step.c >= 0 ? registers[step.c].i : nullptr;
  const float *fa = step.a >= 0 ? registers[step.a].f : nullptr;
  const float *fb = step.b >= 0 ? registers[step.b].f : nullptr;
  auto each = [&](auto f) {
    for (int64_t i = 0; i < n; ++i)
      to[i] = f(i);
  };
  switch (step.op) {
  case BodyOp::Add:
    return each([=](int64_t i) { return wrapAdd(a[i], b[i]); });
  case BodyOp::Sub:
    return each([=](int64_t i) { return wrapSub(a[i], b[i]); });
  case BodyOp::Mul:
    return each([=](int64_t i) { return wrapMul(a[i], b[i]); });
  case BodyOp::Fma:
    return each([=](int64_t i) { return wrapAdd(wrapMul(a[i], b[i]), c[i]); });
  case BodyOp::Div: // by zero: 0; the one overflow wraps
    return each([=](int64_t i) {
      return b[i] == 0 ? 0 : b[i] == -1 ? wrapSub(0, a[i]) : a[i] / b[i];
    });
  case BodyOp::Mod:
    return each([=](int64_t i) { return b[i] == 0 || b[i] == -1 ? 0 : a[i] % b[i]; });
  case BodyOp::Max:
    return each([=](int64_t i) { return a[i] > b[i] ? a[i] : b[i]; });
  case BodyOp::Min:
    return each([=](int64_t i) { return a[i] < b[i] ? a[i] : b[i]; });
  case BodyOp::Neg:
    return each([=](int64_t i) { return wrapSub(0, a[i]); });
  case BodyOp::Abs:
    return each([=](int64_t i) { return a[i] < 0 ? wrapSub(0, a[i]) : a[i]; });
  case BodyOp::Equal:
    if (step.floatArguments)
      return each([=](int64_t i) { return int64_t(fa[i] == fb[i]); });
    return each([=](int64_t i) { return int64_t(a[i] == b[i]); });
  case BodyOp::Less:
    if (step.floatArguments)
      return each([=](int64_t i) { return int64_t(fa[i] < fb[i]); });
    return each([=](int64_t i) { return int64_t(a[i] < b[i]); });
  case BodyOp::LessEqual:
    if (step.floatArguments)
      return each([=](int64_t i) { return int64_t(fa[i] <= fb[i]); });
    return each([=](int64_t i) { return int64_t(a[i] <= b[i]); });
  case BodyOp::And:
    return each([=](int64_t i) { return a[i] & b[i]; });
  case BodyOp::Or:
    return each([=](int64_t i) { return a[i] | b[i]; });
  case BodyOp::Xor:
    return each([=](int64_t i) { return a[i] ^ b[i]; });
  case BodyOp::Not:
    if (step.floatArguments)
      return each([=](int64_t i) { return int64_t(fa[i] == 0); });
    return each([=](int64_t i) { return int64_t(a[i] == 0); });
  case BodyOp::Select:
    return each([=](int64_t i) { return a[i] ? b[i] : c[i]; });
  case BodyOp::ToInt:
    if (step.floatArguments)
      return truncateTo(step.wrap, n, fa, to);
    each([=](int64_t i) { return a[i]; });
    return wrapTo(step.wrap, n, to);
  default:
    return each([=](int64_t i) { return a[i]; });
  }
}

void npucc::evaluateBody(const Body &body, llvm::ArrayRef<double> operands,
                         llvm::ArrayRef<ElementType> operandTypes, llvm::ArrayRef<int64_t> indices,
                         llvm::ArrayRef<ElementType> outputTypes,
                         llvm::MutableArrayRef<double> results) {
  BodyRunner runner(body);
  runner.run(1, [&](const BodyStep &step, const int64_t *, void *to) {
    auto at = static_cast<size_t>(step.a);
    if (step.op == BodyOp::Index) {
      int64_t index = at < indices.size() ? indices[at] : 0;
      if (step.isFloat)
        *static_cast<float *>(to) = static_cast<float>(index);
      else
        *static_cast<int64_t *>(to) = index;
      return;
    }
    // Through the stored form, as a command would read it.
    uint8_t stored[8] = {};
    ElementType type = at < operandTypes.size() ? operandTypes[at] : ElementType::Float32;
    if (!accessOf(type).loadInts)
      type = ElementType::Float32;
    encodeElement(type, at < operands.size() ? operands[at] : 0, stored);
    if (step.isFloat)
      accessOf(type).loadFloats(stored, 0, 1, static_cast<float *>(to));
    else
      accessOf(type).loadInts(stored, 0, 1, static_cast<int64_t *>(to));
  });
  for (size_t y = 0; y < runner.yields() && y < results.size(); ++y) {
    uint8_t stored[8] = {};
    ElementType type = outputTypes[y];
    if (runner.yieldIsFloat(y))
      accessOf(type).storeFloats(stored, 8, 1, runner.floats(y));
    else
      accessOf(type).storeInts(stored, 8, 1, runner.ints(y));
    results[y] = decodeElement(type, stored);
  }
}
