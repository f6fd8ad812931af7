//===- Expectations.h - The list of known failures ----------------*- C++ -*-===//
#pragma once

#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/MemoryBuffer.h"

#include <optional>
#include <string>
#include <vector>

namespace npucc::test {

/// "NAME: REASON" and "NAME [npucc]: REASON" lines, where '*' in a name stands for any characters;
/// '#' begins a comment. The second form is for cases that the reference passes. The list says
/// exactly what is missing: a failure that is not listed is an error, and so is a listed one that
/// passes, and a line that no case has the name of.
class Expectations {
public:
  /// Of one way to run the cases, "reference" or "npucc".
  static std::optional<Expectations> read(const std::string &path, llvm::StringRef way);

  /// Counts the case, and prints what differs from the list. `message`: why it fails, or empty.
  void check(llvm::StringRef name, llvm::StringRef message);
  /// Prints the sums. `isWhole`: every case was run, so that each line must have met one.
  bool finish(bool isWhole);

private:
  struct Line {
    llvm::StringRef text;
    llvm::GlobPattern pattern;
    unsigned matches = 0;
  };

  std::unique_ptr<llvm::MemoryBuffer> file; ///< the lines refer to it
  std::vector<Line> lines;
  unsigned passed = 0, expected = 0, wrong = 0;
};

} // namespace npucc::test
