//===- Footprints.h - Which bytes a command touches -------------*- C++ -*-===//
#pragma once

#include "simulator/functional/Functional.h"

namespace npucc {

/// Appends the footprints of a command instance, reads before writes.
void collectFootprints(const Program &program, const Command &command, const StreamState &state,
                       llvm::SmallVectorImpl<Footprint> &result);

} // namespace npucc
