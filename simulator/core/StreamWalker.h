//===- StreamWalker.h - Walks the hardware loops of a stream ------*- C++ -*-===//
#pragma once

#include "runtime/program/Program.h"
#include "simulator/functional/Functional.h"

#include <vector>

namespace npucc {

/// Numbers of the Run and Wait instructions of a program, over all streams in order, as
/// disassemble() counts them: the number of each stream's first one.
std::vector<int64_t> firstNumbers(const Program &program);

class StreamWalker {
public:
  /// `drop`: number of the Run or Wait to leave out; -1: none.
  StreamWalker(const Program &program, size_t stream, int64_t firstNumber, int64_t drop);

  /// The next Run, Wait or Signal, with loops and ring slots brought up to it; nullptr at the
  /// end of the stream.
  const Instruction *next();
  const StreamState &state() const { return current; }
  /// Position of the last instruction in Stream::code.
  size_t position() const { return at; }
  /// Run instructions that the whole walk visits.
  int64_t dynamicRuns() const { return runs; }

private:
  const Program &program;
  const Stream &stream;
  StreamState current;
  std::vector<size_t> partner; ///< LoopBegin <-> LoopEnd
  size_t pc = 0, at = 0;
  int64_t runs = 0;
  size_t dropped; ///< position in the code, or its size
};

} // namespace npucc
