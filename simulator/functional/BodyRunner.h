//===- BodyRunner.h - Interprets command bodies, a block at a time -*- C++ -*-===//
//
// Each instruction is one loop over a block of points, so that interpreting costs little
// per point and the loops vectorise. evaluateBody() runs the same code on a block of one.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/program/Command.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <memory>
#include <vector>

namespace npucc {

/// One step of a body whose arguments have the kinds that it needs.
struct BodyStep {
  BodyOp op;
  bool isFloat;        ///< kind of the result
  bool floatArguments; ///< kind that the arguments are read as
  ElementType wrap;
  int a = -1, b = -1, c = -1;
  double imm = 0;
};

class BodyRunner {
public:
  static constexpr int64_t kBlock = 256;

  explicit BodyRunner(const Body &body);

  /// Fills `to` (float or int64_t by `step.isFloat`) for `count` points: Input, Index, and
  /// Lookup, whose element numbers are `numbers`.
  using Fetch = llvm::function_ref<void(const BodyStep &step, const int64_t *numbers, void *to)>;
  void run(int64_t count, Fetch fetch);

  size_t yields() const { return results.size(); }
  bool yieldIsFloat(size_t i) const { return steps[results[i]].isFloat; }
  const float *floats(size_t i) const { return registers[results[i]].f; }
  const int64_t *ints(size_t i) const { return registers[results[i]].i; }
  /// Reads operand `a`, directly or by Lookup.
  bool reads(size_t operand) const;
  bool usesIndex(size_t dim) const;

private:
  union Register {
    alignas(64) float f[kBlock];
    int64_t i[kBlock];
  };
  int add(const BodyStep &step);
  int asKind(int step, bool isFloat);
  void floatStep(const BodyStep &step, int64_t count, float *to);
  void intStep(const BodyStep &step, int64_t count, int64_t *to);

  std::vector<BodyStep> steps;
  std::vector<int> results;
  std::unique_ptr<Register[]> registers;
};

} // namespace npucc
