//===- Validate.cpp - Evaluating targets ----------------------------------===//

#include "simulator/validate/Validate.h"

#include "simulator/report/Format.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <limits>

using namespace llvm;

namespace npucc {

bool TargetResult::kept() const { return !target->bound || std::fabs(error()) <= *target->bound; }

double TargetResult::factor() const {
  return ours > 0 ? std::max(ours / target->published, target->published / ours)
                  : std::numeric_limits<double>::infinity();
}

GroupResult::Errors GroupResult::errors(bool calibration) const {
  Errors errors;
  double logs = 0;
  for (const TargetResult &result : results) {
    if (result.target->calibration != calibration)
      continue;
    double error = std::fabs(result.error());
    ++errors.count;
    errors.mean += error;
    errors.worst = std::max(errors.worst, error);
    logs += std::log(result.factor());
    errors.worstFactor = std::max(errors.worstFactor, result.factor());
    errors.intervals += result.hasInterval();
    errors.inside += result.hasInterval() && result.inside();
  }
  if (errors.count > 0) {
    errors.mean /= double(errors.count);
    errors.meanFactor = std::exp(logs / double(errors.count));
  }
  return errors;
}

bool GroupResult::asAsked() const {
  for (bool calibration : {false, true}) {
    Errors all = errors(calibration);
    if ((group.meanAsked > 0 && all.mean > group.meanAsked) ||
        (group.worstAsked > 0 && all.worst > group.worstAsked) ||
        (group.meanFactorAsked > 0 && all.meanFactor > group.meanFactorAsked) ||
        (group.worstFactorAsked > 0 && all.worstFactor > group.worstFactorAsked) ||
        (all.count > 0 && double(all.inside) < group.insideAsked * double(all.count)))
      return false;
  }
  return true;
}

Expected<GroupResult> evaluate(TargetGroup group, Networks &networks) {
  GroupResult result;
  result.group = std::move(group);
  const Kind *kind =
      find_if(kinds(), [&](const Kind &kind) { return kind.name == result.group.kind; });
  for (const Target &target : result.group.targets) {
    DataFile file(result.group.file);
    Fields fields(file, target.fields);
    Expected<Figure> figure = kind->evaluate(fields, networks);
    if (!figure)
      return createStringError(result.group.name + "/" + target.id + ": " +
                               toString(figure.takeError()));
    if (figure->highest > 0 && target.published > figure->highest)
      return createStringError(result.group.name + "/" + target.id + ": " +
                               significant(target.published) + " " + result.group.unit +
                               " is more than the peak allows (" + significant(figure->highest) +
                               "): the fields do not describe what was measured");
    result.results.push_back({&target, figure->value, figure->note, figure->low, figure->high});
  }
  return result;
}

std::vector<Worst> worst(ArrayRef<GroupResult> groups, size_t count) {
  std::vector<Worst> all;
  for (const GroupResult &group : groups)
    for (const TargetResult &result : group.results)
      all.push_back({&group, &result});
  stable_sort(all, [](const Worst &a, const Worst &b) {
    return std::fabs(a.result->error()) > std::fabs(b.result->error());
  });
  all.resize(std::min(count, all.size()));
  return all;
}

std::vector<Worst> worstOfEach(ArrayRef<GroupResult> groups) {
  std::vector<Worst> all;
  for (const GroupResult &group : groups)
    append_range(all, worst(group, 1));
  return all;
}

} // namespace npucc
