//===- LeaveOneOut.cpp - Published rows from the other rows ---------------===//

#include "models/energy/LeaveOneOut.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <map>

using namespace llvm;

namespace npucc {

namespace {

std::string word(const std::string &name) {
  std::string result;
  for (char c : name) {
    if (c == ',')
      continue;
    result += c == ' ' ? '-' : c;
  }
  return result;
}

} // namespace

double LeftOut::logError() const { return std::log(estimate.value / row->value); }

Expected<std::vector<LeftOut>> leaveOneOut(ArrayRef<LibraryRow> rows, LibraryRows which) {
  std::vector<LeftOut> results;
  std::map<std::string, int> seen;
  for (const LibraryRow &row : rows) {
    LeftOut left;
    left.row = &row;
    left.id = word(row.name());
    // A table may hold two releases of one figure.
    if (int count = ++seen[left.id]; count > 1)
      left.id += "-" + std::to_string(count);
    bool others = any_of(rows, [&](const LibraryRow &other) {
      return &other != &row && other.className == row.className && !other.check;
    });
    if (row.check != (which == LibraryRows::Checks) || row.provenance == "estimated" ||
        !findComponentClass(row.className) || !others)
      continue;
    Expected<Estimate> found =
        estimate(rows, row.className, row.sizes, row.nodeNm, row.voltageV, &row);
    if (!found)
      return found.takeError();
    left.estimate = std::move(*found);
    results.push_back(std::move(left));
  }
  return results;
}

} // namespace npucc
