//===- UseModel.h - Everything that is done with a stranger's file -*- C++ -*-===//
#pragma once

#include <cstdint>
#include <string>

namespace npucc::test {

/// How far a file got.
struct Use {
  std::string error;      ///< the message; empty when there was none
  bool evaluated = false; ///< small enough, and it has results
  std::string defect;     ///< what must not be, whatever the file: ours to repair
};

/// Loads, prepares and, where that is little work, evaluates a file. `seed` decides the inputs and
/// the sizes of unbound dimensions. A message that is not one readable line is a defect. With
/// NPUCC_FUZZ_SHAPES in the environment so are results of another type or shape than inferred.
Use useModel(const std::string &path, uint64_t seed);

} // namespace npucc::test
