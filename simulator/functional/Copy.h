//===- Copy.h - Strided copies between memories -----------------*- C++ -*-===//
#pragma once

#include "simulator/functional/Nest.h"

namespace npucc {

/// A box of elements at two places.
struct BoxCopy {
  Space sourceSpace, targetSpace;
  int64_t source, target; ///< byte offsets of the first element
  int64_t elementBytes;
  llvm::SmallVector<int64_t, 6> count, sourceStrides, targetStrides;
};

/// Empty on success, else what went wrong; an empty box touches nothing.
std::string copyBox(BoxCopy box, const MemoryView &memory);

} // namespace npucc
