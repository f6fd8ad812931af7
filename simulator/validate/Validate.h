//===- Validate.h - Our figures beside published ones -------------*- C++ -*-===//
#pragma once

#include "simulator/validate/Kinds.h"
#include "simulator/validate/Targets.h"

#include "llvm/Support/raw_ostream.h"

#include <vector>

namespace npucc {

struct TargetResult {
  const Target *target = nullptr;
  double ours = 0;
  std::string note;
  double low = 0, high = 0; ///< our interval; 0: none
  double error() const { return ours / target->published - 1; }
  /// How far apart, whichever is the larger.
  double factor() const;
  bool hasInterval() const { return high > 0; }
  bool inside() const { return low <= target->published && target->published <= high; }
  /// Whether the error is within what was recorded.
  bool kept() const;
};

struct GroupResult {
  GroupResult() = default;
  GroupResult(GroupResult &&) = default;
  GroupResult &operator=(GroupResult &&) = default;

  TargetGroup group;
  std::vector<TargetResult> results; ///< in the order of group.targets, and pointing to them
  struct Errors {
    size_t count = 0;
    double mean = 0, worst = 0;             ///< of absolute values
    double meanFactor = 1, worstFactor = 1; ///< meanFactor: geometric
    size_t intervals = 0, inside = 0;       ///< how many have one; how many of those hold
  };
  Errors errors(bool calibration) const;
  /// Whether the tests are as good as the project asks.
  bool asAsked() const;
};

/// The first target that cannot be evaluated is the error.
llvm::Expected<GroupResult> evaluate(TargetGroup group, Networks &networks);

/// One result of a group, for lists over all groups.
struct Worst {
  const GroupResult *group;
  const TargetResult *result;
};
std::vector<Worst> worst(llvm::ArrayRef<GroupResult> groups, size_t count);
/// The worst of each group, in the order of the groups.
std::vector<Worst> worstOfEach(llvm::ArrayRef<GroupResult> groups);

void printText(llvm::raw_ostream &os, llvm::ArrayRef<GroupResult> groups);
void printJson(llvm::raw_ostream &os, llvm::ArrayRef<GroupResult> groups);
/// docs/validation.md.
void printMarkdown(llvm::raw_ostream &os, llvm::ArrayRef<GroupResult> groups);
/// models/validation/bounds/<group>.yaml: today's errors and a little room.
void printBounds(llvm::raw_ostream &os, const GroupResult &group);

} // namespace npucc
