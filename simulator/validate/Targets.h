//===- Targets.h - Published figures to compare with --------------*- C++ -*-===//
//
// models/validation/*.yaml, and files of the user's own in the same format: a group of figures
// that somebody measured or published, what each is worth, and the fields that a kind (Kinds.h)
// turns into our figure for the same thing.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/machine/DataFile.h"

#include <optional>
#include <string>
#include <vector>

namespace npucc {

struct Target {
  std::string id;
  double published = 0;
  /// Constants of the models were fitted to calibration targets; only tests say how good they are.
  bool calibration = false;
  /// What the error's absolute value may be before ./test fails (bounds.yaml).
  std::optional<double> bound;
  std::string source, note, cause; ///< cause: of the error that remains
  std::string unit, worth;         ///< the group's, where a target has none of its own
  DataNode fields;                 ///< what the kind reads, the group's `common` included
};

struct TargetGroup {
  std::string file, name, kind, title, metric, unit;
  std::string worth;  ///< measured, audited, rtl, table, vendor-model or simulator
  std::string source; ///< of targets that do not name their own
  std::string split;  ///< why these are calibration and those are tests
  /// What the project asks of the tests: mean and largest absolute error.
  double meanAsked = 0, worstAsked = 0;
  /// Or of ratios: geometric mean and largest of max(ours, published) over the other one, and the
  /// share of published figures inside of our interval.
  double meanFactorAsked = 0, worstFactorAsked = 0, insideAsked = 0;
  bool byFactor() const { return meanFactorAsked > 0 || worstFactorAsked > 0 || insideAsked > 0; }
  std::vector<Target> targets;
};

/// A file has one group, or a list of them under the key `groups`. Errors name file, line and
/// column.
llvm::Expected<std::vector<TargetGroup>> readTargets(const std::string &path);
/// Paths of the bundled files, and of what was measured here (models/gpu/measured).
std::vector<std::string> bundledTargets();
/// Sets `bound` from models/validation/bounds/<group>.yaml; a group without file keeps none.
llvm::Error readBounds(TargetGroup &group);

} // namespace npucc
