//===- LeaveOneOut.h - Published rows from the other rows ---------*- C++ -*-===//
//
// What the library's rule is worth: each published figure beside what it would have been taken
// for, had nobody published it. npu-validate and the tests judge the same numbers.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/energy/Estimate.h"

namespace npucc {

struct LeftOut {
  const LibraryRow *row = nullptr;
  std::string id; ///< the row's name as one word: "jouppi-2021-int_adder-8-bits-7-nm-0.75-V"
  Estimate estimate;

  double logError() const; ///< ln of estimate over published
  bool inside() const { return estimate.low <= row->value && row->value <= estimate.high; }
};

/// Which rows: those that estimates are made of, or those that are only compared (`check: true`).
enum class LibraryRows : uint8_t { Fitted, Checks };

/// Every published row whose class has a rule and another row that is not left out. Rows with
/// provenance "estimated" are nobody's figures.
llvm::Expected<std::vector<LeftOut>> leaveOneOut(llvm::ArrayRef<LibraryRow> rows,
                                                 LibraryRows which);

} // namespace npucc
